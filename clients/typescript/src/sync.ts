import type { TasksClient } from "./client.js";
import { exchange, RefusedError } from "./exchange.js";
import { created, edited, newRow, nextStep, put, type LocalTask, type Row } from "./rows.js";
import { indexedDBStorage, memoryStorage, type TaskStorage } from "./storage.js";
import type { NewTask, Problem, TaskChanges } from "./types.js";

export interface TaskSyncOptions {
  client: TasksClient;
  userId: string; // the `id` of `GET /api/me`
  storage?: TaskStorage; // by default IndexedDB, or memory where that is missing
  interval?: number; // milliseconds between two pulls
  retryDelay?: number; // milliseconds before the first retry; each failure doubles them, up to `interval`
}
export interface Status {
  readonly online: boolean; // whether the service responded last time
  readonly syncing: boolean;
  readonly pending: number; // how many tasks wait to be sent
  readonly error: Error | null; // why synchronising failed last time
  readonly signedOut: boolean; // whether the service refused the token
}
/** A change that the server refused, or that clashes with somebody else's; it waits for `resolve`. */
export interface Conflict {
  readonly id: string;
  readonly mine: LocalTask | null; // null if the user deleted the task
  readonly theirs: LocalTask | null; // null if the server does not have the task, or has it in the trash
  readonly problem: Problem;
}

const live = (task: LocalTask | null) => (task?.deleted ? null : task);
const isHidden = () => globalThis.document?.visibilityState === "hidden";

/** A copy of a user's tasks to read and write at once, and in step with the service whenever that can be reached. */
export class TaskSync {
  // Snapshots: they are replaced, and never changed.
  tasks: readonly LocalTask[] = []; // newest first
  deleted: readonly LocalTask[] = []; // those that this copy saw go to the trash
  conflicts: readonly Conflict[] = [];
  status: Status = { online: true, syncing: false, pending: 0, error: null, signedOut: false };
  readonly #options: Required<TaskSyncOptions>;
  readonly #rows = new Map<string, Row>();
  readonly #listeners = new Set<() => void>();
  #loaded: Promise<void> | undefined;
  #running = Promise.resolve();
  #stop = new AbortController();
  #channel: BroadcastChannel | undefined;
  #wake = () => {};

  constructor({ client, userId, storage, interval = 60_000, retryDelay = 1000 }: TaskSyncOptions) {
    storage ??= "indexedDB" in globalThis ? indexedDBStorage(userId) : memoryStorage();
    this.#options = { client, userId, storage, interval, retryDelay };
  }

  /** Call `listener` after each change, until the returned function is called. */
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get = (id: string) => this.tasks.find((task) => task.id === id);

  /** Create a task, unless its `id` is already here. Like all changes, it resolves as soon as it is stored here. */
  create(fields: NewTask): Promise<LocalTask> {
    const id = (fields.id ?? crypto.randomUUID()).toLowerCase();
    return this.#edit(id, (row) => row, created(id, this.#options.userId, fields));
  }
  update = (id: string, changes: TaskChanges) => this.#edit(id, (row) => edited(row, changes));
  delete = (id: string) => this.#edit(id, (row) => edited(row, { deleted: true }));
  restore = (id: string) => this.#edit(id, (row) => edited(row, { deleted: false }));

  /** End a conflict with the user's version, with the server's, or with the user's and these changes. */
  async resolve(id: string, choice: "mine" | "theirs" | TaskChanges): Promise<void> {
    const changes = typeof choice === "string" ? {} : { deleted: false, ...choice };
    await this.#edit(id, (row) => {
      if (!row.problem) return row;
      return choice === "theirs" ? { ...row, mine: null, problem: null } : edited({ ...row, problem: null }, changes);
    });
  }

  /** Show what is stored, and synchronise from now on; call it again when the user has signed in again. */
  async start(): Promise<void> {
    void this.stop();
    const { signal } = (this.#stop = new AbortController());
    for (const event of ["online", "visibilitychange"]) globalThis.addEventListener?.(event, this.#nudge, { signal });
    const { name } = this.#options.storage;
    this.#channel = name ? new BroadcastChannel(name) : undefined;
    this.#channel?.addEventListener("message", ({ data }) => void this.#follow(data));
    this.#report({ error: null });
    await (this.#loaded = this.#load());
    void this.#synchronise(signal);
  }

  /** Stop synchronising. What waits to be sent stays stored. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("Synchronising was stopped."));
    this.#wake();
    this.#channel?.close();
    this.#channel = undefined;
    await this.#running.catch(() => {});
  }

  /** Sign out: stop, and delete the user's tasks from the browser, for all of its tabs. */
  async clear(): Promise<void> {
    this.#channel?.postMessage(null);
    await this.stop();
    await this.#options.storage.destroy();
    this.#show(new Map());
  }

  /** Push and pull now, after any push and pull that is under way. */
  sync = () => (this.#running = this.#running.catch(() => {}).then(() => this.#exchange()));

  async #exchange(): Promise<void> {
    const { client, userId, storage: { name } } = this.#options;
    const { signal } = this.#stop;
    const work = () => exchange(client, userId, this.#access, signal);
    const locks = globalThis.navigator?.locks;
    this.#report({ syncing: true });
    try {
      await (this.#loaded ??= this.#load());
      await (name && locks ? locks.request(name, { signal }, work) : work());
      this.#report({ syncing: false, error: null });
    } catch (error) {
      this.#report({ syncing: false, error: error as Error });
      throw error;
    }
  }

  async #synchronise(stop: AbortSignal): Promise<void> {
    const { interval, retryDelay } = this.#options;
    for (let failures = 0; !stop.aborted && !this.status.signedOut; ) {
      if (!isHidden() || this.status.pending) await this.sync().catch(() => {});
      const { error, pending } = this.status;
      const backoff = Math.min(interval, retryDelay * 2 ** failures) * (0.5 + Math.random() / 2);
      const asked = error instanceof RefusedError ? Math.min(error.retryAfter, 86_400) * 1000 : 0;
      failures = error ? failures + 1 : 0;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, error ? Math.max(backoff, asked) : pending ? 0 : interval);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  // A service that refused something has said when to try again.
  #nudge = () => this.status.error instanceof RefusedError || this.#wake();

  async #edit(id: string, edit: (row: Row) => Row, absent?: Row): Promise<LocalTask> {
    await (this.#loaded ??= this.#load());
    const { rows } = await this.#access([id], (copy) => {
      const row = copy.rows.get(id) ?? absent;
      if (!row) throw new Error(`There is no task ${id} here.`);
      put(copy.rows, edit(row));
    });
    this.#nudge();
    const { mine, server } = rows.get(id) ?? newRow(id);
    return (mine ?? server)!;
  }

  #access: TaskStorage["access"] = async (ids, edit) => {
    const copy = await this.#options.storage.access(ids, edit);
    if (!copy.changed.length) return copy;
    this.#show(copy.rows, copy.changed);
    this.#channel?.postMessage(copy.changed);
    return copy;
  };

  #load = async (ids?: string[]) => this.#show((await this.#options.storage.access(ids ?? null)).rows, ids);

  /** Show what another tab has changed; null if it has signed out. */
  async #follow(ids: string[] | null): Promise<void> {
    if (ids) return this.#load(ids);
    await this.stop();
    this.#show(new Map());
    this.#report({ error: new RefusedError({ status: 401, code: "unauthorized", detail: "You have signed out." }) });
  }

  #show(stored: ReadonlyMap<string, Row>, ids: readonly string[] = [...this.#rows.keys(), ...stored.keys()]): void {
    for (const id of ids) put(this.#rows, stored.get(id) ?? newRow(id));
    const rows = [...this.#rows.values()];
    const tasks = rows.map(({ mine, server }) => (mine ?? server)!);
    tasks.sort((a, b) => b.created_at.localeCompare(a.created_at) || b.id.localeCompare(a.id));
    this.tasks = tasks.filter(({ deleted }) => !deleted);
    this.deleted = tasks.filter(({ deleted }) => deleted);
    this.conflicts = rows.flatMap(({ id, mine, server, problem }) => {
      return problem ? { id, mine: live(mine), theirs: live(server), problem } : [];
    });
    this.#report({ pending: rows.filter(nextStep).length });
  }

  #report(news: Partial<Pick<Status, "syncing" | "pending" | "error">>): void {
    const { syncing, pending, error } = { ...this.status, ...news };
    const refusal = error instanceof RefusedError ? error.problem.status : null;
    const signedOut = refusal === 401 || refusal === 403;
    this.status = { online: !error || refusal !== null, syncing, pending, error, signedOut };
    for (const listener of this.#listeners) listener();
  }
}
