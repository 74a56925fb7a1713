import { same } from "./fields.js";
import { isReady, isDiscarded, view, type Row, type View } from "./rows.js";
import type { Copy, TaskStorage } from "./storage.js";
import type { Problem, Task } from "./types.js";

/** A change that the server refused, or that clashes with somebody else's. It waits for the app. */
export interface Conflict {
  readonly id: string;
  /** The task as the user wants it; null if they deleted it. */
  readonly mine: Task | null;
  /** The task on the server; null if it is deleted there or was never made. */
  readonly theirs: Task | null;
  readonly problem: Problem;
}

// As long as the server keeps its trash by default.
const KEEP_DELETED = 30 * 86_400_000;

/** The stored copy, as immutable snapshots that other tabs keep up to date. */
export class LocalCopy {
  tasks: readonly Task[] = [];
  deleted: readonly Task[] = [];
  conflicts: readonly Conflict[] = [];
  pending = 0;
  readonly #storage: TaskStorage;
  readonly #onChange: () => void;
  readonly #rows = new Map<string, Row>();
  readonly #views = new Map<string, View>();
  #loading: Promise<void> | undefined;
  #channel: BroadcastChannel | undefined;

  constructor(storage: TaskStorage, onChange: () => void) {
    this.#storage = storage;
    this.#onChange = onChange;
  }

  load(): Promise<void> {
    return (this.#loading ??= this.#storage.change(undefined, forgetOld).then(({ rows }) => this.#show(rows)));
  }

  view(id: string): View | undefined {
    return this.#views.get(id);
  }

  /** The rows to send, in the order in which the user changed them. */
  ready(): Row[] {
    return [...this.#rows.values()].filter(isReady).sort((a, b) => a.queue[0]!.seq - b.queue[0]!.seq);
  }

  async since(): Promise<number> {
    return (await this.#storage.read([])).since;
  }

  /** Change the rows with these ids, or all, in one transaction, and show the result in every tab. */
  async change(ids: readonly string[] | undefined, edit: (copy: Copy) => void): Promise<Copy> {
    const copy = await this.#storage.change(ids, edit);
    this.#show(copy.rows, ids);
    if (!ids || ids.length) this.#channel?.postMessage({ ids });
    return copy;
  }

  /** Follow the changes of other tabs; `onDestroy` is called when one of them destroys the copy. */
  follow(onDestroy: () => void): void {
    if (!this.#storage.name) return;
    this.#channel ??= new BroadcastChannel(this.#storage.name);
    this.#channel.onmessage = ({ data }: MessageEvent<{ ids?: string[]; destroyed?: true }>) => {
      if (data.destroyed) {
        this.#show(new Map());
        onDestroy();
      } else {
        const read = this.#storage.read(data.ids).then(({ rows }) => this.#show(rows, data.ids));
        read.catch(() => {}); // The copy was destroyed meanwhile.
      }
    };
  }

  unfollow(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  async destroy(): Promise<void> {
    await this.#storage.destroy();
    this.#show(new Map());
    if (!this.#storage.name) return;
    const channel = new BroadcastChannel(this.#storage.name);
    channel.postMessage({ destroyed: true });
    channel.close();
  }

  #show(rows: ReadonlyMap<string, Row>, ids: Iterable<string> = new Set([...this.#rows.keys(), ...rows.keys()])) {
    for (const id of ids) {
      const row = rows.get(id);
      if (!row) {
        this.#rows.delete(id);
        this.#views.delete(id);
        continue;
      }
      this.#rows.set(id, row);
      // The same object as before, unless it shows something else: views of an app compare by identity.
      const shown = view(row);
      if (!same(this.#views.get(id), shown)) this.#views.set(id, shown);
    }
    const before = this.#snapshot();
    const views = [...this.#views.values()];
    const live = views.filter(({ deletedAt }) => !deletedAt).map(({ task }) => task);
    const trash = views.filter(({ deletedAt }) => deletedAt).sort(latestDeletionFirst);
    this.tasks = kept(this.tasks, live.sort(newestFirst));
    this.deleted = kept(this.deleted, trash.map(({ task }) => task));
    this.pending = this.ready().length;
    const conflicts = [...this.#rows.values()].flatMap(conflictOf);
    if (!same(this.conflicts, conflicts)) this.conflicts = conflicts;
    if (this.#snapshot().some((part, index) => part !== before[index])) this.#onChange();
  }

  #snapshot(): unknown[] {
    return [this.tasks, this.deleted, this.conflicts, this.pending];
  }
}

function conflictOf(row: Row): Conflict[] {
  if (!row.problem) return [];
  const { task, deletedAt } = view(row);
  const theirs = row.deletedAt ? null : row.server;
  return [{ id: row.id, mine: deletedAt ? null : task, theirs, problem: row.problem }];
}

function forgetOld({ rows }: Copy): void {
  const limit = new Date(Date.now() - KEEP_DELETED).toISOString();
  for (const row of rows.values()) {
    const { deletedAt } = view(row);
    if (deletedAt && deletedAt < limit && (!row.queue.length || isDiscarded(row))) rows.delete(row.id);
  }
}

function kept<Item>(before: readonly Item[], after: readonly Item[]): readonly Item[] {
  const equal = before.length === after.length && before.every((item, index) => item === after[index]);
  return equal ? before : after;
}

function newestFirst(a: Task, b: Task): number {
  return compare(b.created_at, a.created_at) || compare(b.id, a.id);
}

function latestDeletionFirst(a: View, b: View): number {
  return compare(b.deletedAt!, a.deletedAt!);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
