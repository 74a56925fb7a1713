import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from "idb";
import { isEmpty, type Row } from "./rows.js";

/** The local copy, or the part of it that a transaction changes. */
export interface Copy {
  rows: Map<string, Row>;
  /** Where the changes feed continues. */
  since: number;
  /** The number of the latest change. */
  seq: number;
}

export interface TaskStorage {
  /** What tabs that share the storage know it by; undefined if nobody shares it. */
  readonly name?: string;
  /** The rows with these ids, or all. */
  read(ids?: readonly string[]): Promise<Copy>;
  /** Let `edit` change the rows with these ids, or all, in one transaction that is durable afterwards. */
  change(ids: readonly string[] | undefined, edit: (copy: Copy) => void): Promise<Copy>;
  /** Delete everything and refuse later changes. */
  destroy(): Promise<void>;
}

export function put({ rows }: Copy, row: Row): void {
  if (isEmpty(row)) rows.delete(row.id);
  else rows.set(row.id, row);
}

/** Keeps the tasks until the page or program ends. */
export function memoryStorage(): TaskStorage {
  let copy: Copy | null = { rows: new Map(), since: 0, seq: 0 };
  const read = () => {
    if (!copy) throw new Error("The storage was destroyed.");
    return { ...copy, rows: new Map(copy.rows) };
  };
  return {
    read: async () => read(),
    async change(_ids, edit) {
      const edited = read();
      edit(edited);
      copy = edited;
      return read();
    },
    async destroy() {
      copy = null;
    },
  };
}

interface Schema extends DBSchema {
  rows: { key: string; value: Row };
  counters: { key: "since" | "seq"; value: number };
}

/** Keeps the tasks of a user in the browser, in a database of their own. */
export function indexedDBStorage(userId: string): TaskStorage {
  const name = `tasks-api:${userId}`;
  let opening: Promise<IDBPDatabase<Schema>> | undefined;
  let destroyed = false;

  async function open(): Promise<IDBPDatabase<Schema>> {
    if (destroyed) throw new Error("The storage was destroyed.");
    opening ??= openDB<Schema>(name, 1, {
      upgrade(database) {
        database.createObjectStore("rows", { keyPath: "id" });
        database.createObjectStore("counters");
      },
      // Another tab destroys the storage.
      blocking: () => void close(),
      terminated: () => (opening = undefined),
    });
    return opening;
  }

  async function close(): Promise<void> {
    destroyed = true;
    (await opening)?.close();
  }

  async function transact(
    mode: "readonly" | "readwrite",
    ids?: readonly string[],
    edit?: (copy: Copy) => void,
  ): Promise<Copy> {
    const transaction = (await open()).transaction(["rows", "counters"], mode);
    const rows = transaction.objectStore("rows");
    const counters = transaction.objectStore("counters");
    const found = await (ids ? Promise.all(ids.map((id) => rows.get(id))) : rows.getAll());
    const before = new Map(found.flatMap((row) => (row ? [[row.id, row]] : [])));
    const [since = 0, seq = 0] = await Promise.all([counters.get("since"), counters.get("seq")]);
    const copy = { rows: new Map(before), since, seq };
    edit?.(copy);
    for (const [id, row] of copy.rows) if (row !== before.get(id)) void rows.put?.(row);
    for (const id of before.keys()) if (!copy.rows.has(id)) void rows.delete?.(id);
    if (copy.since !== since) void counters.put?.(copy.since, "since");
    if (copy.seq !== seq) void counters.put?.(copy.seq, "seq");
    await transaction.done;
    return copy;
  }

  return {
    name,
    read: (ids) => transact("readonly", ids),
    change: (ids, edit) => transact("readwrite", ids, edit),
    async destroy() {
      await close();
      await deleteDB(name);
    },
  };
}
