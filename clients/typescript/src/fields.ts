import type { Task, TaskChanges } from "./types.js";

/** What only the server sets. */
const READ_ONLY = new Set(["id", "user_id", "rev", "completed_at", "created_at", "updated_at"]);

/** The writable fields of `wanted` whose values `task` does not have. */
export function changedFields(wanted: TaskChanges, task: Task | null): TaskChanges {
  const changed = Object.entries(wanted).filter(([name, value]) => {
    return !READ_ONLY.has(name) && value !== undefined && !same(value, task?.[name as keyof Task]);
  });
  return Object.fromEntries(changed);
}

export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The fields as the server will store them; otherwise what it trims would look like somebody else's change. */
export function asStored<Fields extends TaskChanges>(fields: Fields): Fields {
  const stored = { ...fields };
  if (stored.title) stored.title = stored.title.trim();
  if (stored.priority === null) stored.priority = "medium";
  if (stored.tags === null) stored.tags = [];
  if (stored.tags) stored.tags = [...new Set(stored.tags.map((tag) => tag.trim()))];
  if (stored.due_date) stored.due_date = dateAsStored(stored.due_date);
  return stored;
}

/** With seconds but no fraction of them, and in UTC if there is an offset. */
function dateAsStored(text: string): string {
  const match = /^(.{10})T(..:..)(:..)?(?:\.\d+)?(Z|[+-]..:..)?$/i.exec(text);
  if (!match) return text;
  const [, day, minutes, seconds = ":00", offset = ""] = match;
  const local = `${day}T${minutes}${seconds}`;
  if (!offset || /z/i.test(offset)) return local + offset.toUpperCase();
  const time = new Date(local + offset);
  return Number.isNaN(time.getTime()) ? text : time.toISOString().replace(".000Z", "Z");
}
