import type { TasksClient } from "./client.js";
import { Exchange, RefusedError } from "./exchange.js";
import { asStored, changedFields } from "./fields.js";
import { LocalCopy, type Conflict } from "./local.js";
import { change, discard, enqueue, newRow, retry, view, type Row, type View } from "./rows.js";
import { indexedDBStorage, memoryStorage, put, type TaskStorage } from "./storage.js";
import type { NewTask, Task, TaskChanges } from "./types.js";

export interface TaskSyncOptions {
  client: TasksClient;
  /** Whose tasks these are: the `id` of `GET /api/me`. */
  userId: string;
  /** Default: IndexedDB where there is one, else memory. */
  storage?: TaskStorage;
  /** Milliseconds between two pulls, 60,000 by default. */
  interval?: number;
  /** Milliseconds before the first retry, 1000 by default; each failure doubles them, up to `interval`. */
  retryDelay?: number;
}

export interface Status {
  /** Whether the last request got a response. */
  readonly online: boolean;
  readonly syncing: boolean;
  /** How many tasks have changes that wait for the server; those in conflict do not count. */
  readonly pending: number;
  /** Why synchronising failed last time. */
  readonly error: Error | null;
  /** Whether the service refuses the user's token; `start` tries again. */
  readonly signedOut: boolean;
}

const EMPTY = {
  title: "",
  description: null,
  completed: false,
  completed_at: null,
  priority: "medium",
  due_date: null,
  tags: [],
  position: null,
  rev: 0,
} satisfies Partial<Task>;

/** A copy of a user's tasks to read and write at once, which is synchronised whenever the service can be reached. */
export class TaskSync {
  readonly userId: string;
  readonly #interval: number;
  readonly #retryDelay: number;
  readonly #lock: string | undefined;
  readonly #copy: LocalCopy;
  readonly #exchange: Exchange;
  readonly #listeners = new Set<() => void>();
  #status: Status = { online: true, syncing: false, pending: 0, error: null, signedOut: false };
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #stop = new AbortController();
  #started = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #notBefore = 0;

  constructor({ client, userId, storage, interval = 60_000, retryDelay = 1000 }: TaskSyncOptions) {
    storage ??= "indexedDB" in globalThis ? indexedDBStorage(userId) : memoryStorage();
    this.userId = userId;
    this.#interval = interval;
    this.#retryDelay = retryDelay;
    this.#lock = storage.name;
    this.#copy = new LocalCopy(storage, () => {
      this.#status = { ...this.#status, pending: this.#copy.pending };
      this.#notify();
    });
    this.#exchange = new Exchange(client, this.#copy, userId, (online) => this.#report({ online }));
  }

  /** The tasks, newest first; the same array until one of them changes. */
  get tasks(): readonly Task[] {
    return this.#copy.tasks;
  }

  /** The tasks in the trash that this copy had before, latest deletion first. */
  get deleted(): readonly Task[] {
    return this.#copy.deleted;
  }

  get conflicts(): readonly Conflict[] {
    return this.#copy.conflicts;
  }

  get status(): Status {
    return this.#status;
  }

  get(id: string): Task | undefined {
    const view = this.#copy.view(id);
    return view && !view.deletedAt ? view.task : undefined;
  }

  /** Call `listener` after each change of `tasks`, `deleted`, `conflicts` or `status`; returns how to stop that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Create a task; a repeated call with the same id changes nothing. Like all changes, it resolves once it is stored here. */
  async create(fields: NewTask): Promise<Task> {
    const id = (fields.id ?? crypto.randomUUID()).toLowerCase();
    await this.#edit(id, (row, seq) => {
      if (row) return row;
      const create = change(seq, "create", changedFields(asStored(fields), null));
      const base = { ...EMPTY, id, user_id: this.userId, created_at: create.at, updated_at: create.at };
      return { ...newRow(id), base, queue: [create] };
    });
    return this.#copy.view(id)!.task;
  }

  /** Change the fields that are present. */
  async update(id: string, changes: TaskChanges): Promise<Task> {
    await this.#edit(id, (row, seq) => {
      const { task } = shown(row, id, { deleted: false });
      const fields = changedFields(asStored(changes), task);
      return Object.keys(fields).length ? enqueue(row!, change(seq, "update", fields)) : row!;
    });
    return this.#copy.view(id)!.task;
  }

  /** Move a task to the trash. */
  async delete(id: string): Promise<void> {
    await this.#edit(id, (row, seq) => {
      shown(row, id, { deleted: false });
      return enqueue(row!, change(seq, "delete"));
    });
  }

  /** Take a task of `deleted` out of the trash. */
  async restore(id: string): Promise<Task> {
    await this.#edit(id, (row, seq) => {
      shown(row, id, { deleted: true });
      return enqueue(row!, change(seq, "restore"));
    });
    return this.#copy.view(id)!.task;
  }

  /** End a conflict with the user's version, with the server's, or with the user's and these changes. */
  async resolve(id: string, choice: "mine" | "theirs" | TaskChanges): Promise<void> {
    await this.#edit(id, (row, seq) => {
      if (!row?.problem) throw new Error(`There is no conflict about the task ${id}.`);
      if (choice === "theirs") return discard(row);
      if (choice === "mine") return retry(row, seq);
      return retry(enqueue(row, change(seq, "update", asStored(choice))), seq);
    });
  }

  /** Read the stored copy and synchronise from now on. Call it again when the user has signed in again. */
  async start(): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      this.#stop = new AbortController();
      this.#listen(this.#stop.signal);
    }
    this.#failures = 0;
    this.#report({ signedOut: false });
    await this.#copy.load();
    this.#schedule(0);
  }

  /** Stop synchronising. What waits for the server stays stored. */
  async stop(): Promise<void> {
    this.#started = false;
    this.#stop.abort(new Error("The synchronisation was stopped."));
    clearTimeout(this.#timer);
    this.#copy.unfollow();
    await this.#running.catch(() => {});
  }

  /** Sign out: stop, and delete everything of this user from the browser, also in its other tabs. */
  async clear(): Promise<void> {
    await this.stop();
    await this.#copy.destroy();
  }

  /** Push and pull now. A call while that happens waits for the next time. */
  sync(): Promise<void> {
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return (this.#running = this.#runExchange());
      });
    return this.#next;
  }

  async #runExchange(): Promise<void> {
    const { signal } = this.#stop;
    this.#report({ syncing: true });
    try {
      await this.#copy.load();
      await oneTabAtATime(this.#lock, signal, () => this.#exchange.run(signal));
      this.#report({ syncing: false, error: null, signedOut: false });
    } catch (error) {
      const signedOut = error instanceof RefusedError && [401, 403].includes(error.problem.status);
      this.#report(signal.aborted ? { syncing: false } : { syncing: false, error: error as Error, signedOut });
      throw error;
    }
  }

  async #edit(id: string, edit: (row: Row | undefined, seq: number) => Row): Promise<void> {
    await this.#copy.load();
    await this.#copy.change([id], (copy) => put(copy, edit(copy.rows.get(id), (copy.seq += 1))));
    if (!this.#failures) this.#schedule(0);
  }

  #listen(signal: AbortSignal): void {
    this.#copy.follow(() => {
      void this.stop();
      this.#report({ signedOut: true });
    });
    const retryNow = () => {
      this.#failures = 0;
      this.#schedule(0);
    };
    globalThis.addEventListener?.("online", retryNow, { signal });
    globalThis.document?.addEventListener("visibilitychange", () => isHidden() || retryNow(), { signal });
  }

  #schedule(delay: number): void {
    if (!this.#started || this.#status.signedOut) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tick(), Math.max(delay, this.#notBefore - Date.now()));
  }

  async #tick(): Promise<void> {
    let delay = this.#interval;
    try {
      if (!isHidden() || this.#status.pending) await this.sync();
      this.#failures = 0;
    } catch (error) {
      if (error instanceof RefusedError) this.#notBefore = Date.now() + error.retryAfter * 1000;
      delay = Math.min(delay, this.#retryDelay * 2 ** this.#failures) * (0.5 + Math.random() / 2);
      this.#failures += 1;
    }
    this.#schedule(delay);
  }

  #report(news: Partial<Status>): void {
    const status = { ...this.#status, ...news };
    const names = Object.keys(news) as (keyof Status)[];
    if (names.every((name) => status[name] === this.#status[name])) return;
    this.#status = status;
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The task, if the user sees it where they should. */
function shown(row: Row | undefined, id: string, { deleted }: { deleted: boolean }): View {
  const found = row && view(row);
  if (!found || (found.deletedAt !== null) !== deleted) {
    throw new Error(`The task ${id} is not ${deleted ? "in the trash" : "there"}.`);
  }
  return found;
}

// Any tab may push and pull, such as the visible one, but not at the same time as another.
async function oneTabAtATime(name: string | undefined, signal: AbortSignal, work: () => Promise<void>) {
  const locks = globalThis.navigator?.locks;
  await (name && locks ? locks.request(name, { signal }, work) : work());
}

function isHidden(): boolean {
  return globalThis.document?.visibilityState === "hidden";
}
