import { deleteDB, openDB, type IDBPDatabase } from "idb";
import type { Row } from "./rows.js";

/** Rows by their ids, and where the changes feed continues. */
export type Copy = { rows: Map<string, Row>; since: number };
export interface TaskStorage {
  readonly name?: string; // what the tabs that share it know it by
  /** Read the rows with these ids, or all, and let `edit` change them, in one transaction. */
  access(ids: readonly string[] | null, edit?: (copy: Copy) => void): Promise<Copy & { changed: string[] }>;
  /** Delete everything, for all tabs. */
  destroy(): Promise<void>;
}

/** Keeps the tasks until the page is closed. */
export function memoryStorage(): TaskStorage {
  let copy: Copy = { rows: new Map(), since: 0 };
  return {
    async access(_ids, edit) {
      const before = copy;
      copy = { ...before, rows: new Map(before.rows) };
      edit?.(copy);
      return { ...copy, changed: changedIds(before.rows, copy.rows) };
    },
    destroy: async () => void (copy = { rows: new Map(), since: 0 }),
  };
}

/** Keeps the tasks in the browser, in a database for each user. */
export function indexedDBStorage(userId: string): TaskStorage {
  const name = `tasks-api:${userId}`;
  let database: Promise<IDBPDatabase> | undefined;
  const upgrade = (created: IDBPDatabase) => ["rows", "state"].forEach((store) => created.createObjectStore(store));
  // When another tab deletes it, it stays closed here, because opening would create it again.
  const close = async () => (await database)?.close();

  return {
    name,
    async access(ids, edit) {
      database ??= openDB(name, 1, { upgrade, blocking: close });
      const transaction = (await database).transaction(["rows", "state"], edit ? "readwrite" : "readonly");
      const [rows, state] = [transaction.objectStore("rows"), transaction.objectStore("state")];
      const found: Row[] = await (ids ? Promise.all(ids.map((id) => rows.get(id))) : rows.getAll());
      const before = new Map(found.filter(Boolean).map((row) => [row.id, row]));
      const copy: Copy = { rows: new Map(before), since: (await state.get("since")) ?? 0 };
      edit?.(copy);
      const changed = changedIds(before, copy.rows);
      const writes = changed.map((id) => (copy.rows.has(id) ? rows.put!(copy.rows.get(id), id) : rows.delete!(id)));
      await Promise.all([...writes, edit && state.put!(copy.since, "since"), transaction.done]);
      return { ...copy, changed };
    },
    destroy: () => close().then(() => deleteDB(name)),
  };
}

function changedIds(before: Copy["rows"], after: Copy["rows"]): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((id) => before.get(id) !== after.get(id));
}
