import type { NewTask, Operation, Problem, Result, Task, TaskChanges } from "./types.js";

/** A task, and whether it is in the trash. */
export type LocalTask = Task & { deleted: boolean };
type Changes = TaskChanges & { deleted?: boolean };

/** What is stored of a task. */
export interface Row {
  readonly id: string;
  readonly rev: number; // the latest one of the task or of its deletion
  readonly server: LocalTask | null;
  readonly mine: LocalTask | null; // what the user wants, until the server has it
  readonly base: LocalTask | null; // the server's version that the user changed
  readonly sent: LocalTask | null; // what the server has after the operation that was sent
  readonly problem: Problem | null; // why `mine` waits for the app
}

export type Step = { id: string; operation: Operation; outcome: LocalTask };

const CONFLICT: Problem = { status: 412, code: "precondition_failed", detail: "Somebody else changed this task." };
const READ_ONLY = ["id", "user_id", "rev", "completed_at", "created_at", "updated_at"];
const PLAN = { priority: "medium" as const, due_date: null, tags: [], position: null };
const BLANK = { title: "", description: null, completed: false, completed_at: null, ...PLAN, rev: 0, deleted: false };

const isEmpty = (changes: Changes) => Object.keys(changes).length === 0;
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

const EMPTY = { rev: 0, server: null, mine: null, base: null, sent: null, problem: null };
export const newRow = (id: string): Row => ({ id, ...EMPTY });

export function created(id: string, user_id: string, fields: NewTask): Row {
  const at = new Date().toISOString();
  return edited({ ...newRow(id), mine: { ...BLANK, id, user_id, created_at: at, updated_at: at } }, fields);
}

/** Store a row, unless there is nothing in it. */
export const put = (rows: Map<string, Row>, row: Row) =>
  row.server || row.mine ? rows.set(row.id, row) : rows.delete(row.id);

/** Apply a change by the user. It is a new attempt at what the server refused, but does not end a conflict. */
export function edited(row: Row, changes: Changes): Row {
  const mine = withChanges((row.mine ?? row.server)!, asStored(changes));
  const problem = row.problem?.status === CONFLICT.status ? row.problem : null;
  return settled({ ...row, mine, base: row.mine ? row.base : row.server, problem });
}

/** The next operation on the way from `base` to `mine`, if there is one. */
export function nextStep({ id, base, mine, sent, problem }: Row): Step | null {
  const outcome = sent ?? mine;
  if (!outcome || problem) return null;
  const { deleted, ...task } = difference(outcome, base);
  if (!base && outcome.deleted) return null;
  if (!base) return { id, operation: { op: "create", task: { ...task, id } as NewTask }, outcome };
  if (deleted) return { id, operation: { op: "delete", id, rev: base.rev }, outcome: { ...base, deleted } };
  if (deleted === false) return { id, operation: { op: "restore", id }, outcome: { ...base, deleted } };
  return base.deleted || isEmpty(task) ? null : { id, operation: { op: "update", id, rev: base.rev, task }, outcome };
}

/** Take over the server's version, or null for its deletion, unless `row` has a newer one. */
export function received(row: Row, rev: number, task: Task | null): Row {
  const known = task ?? row.server ?? row.sent ?? row.mine;
  const server = known && { ...known, deleted: !task };
  if (rev <= row.rev || !server) return row;
  return row.sent ? { ...row, rev, server } : rebased({ ...row, rev, server }, row.base);
}

/** Take over that the server has nothing of the task, not even in the trash. */
export function gone(row: Row): Row {
  if (!row.mine || row.mine.deleted) return newRow(row.id);
  return row.base ? { ...newRow(row.id), mine: row.mine, problem: CONFLICT } : row;
}

/** Take over the result of an operation, after a pull. */
export function confirmed(row: Row, outcome: LocalTask, { status, task, problem = CONFLICT }: Result): Row {
  const { base, server } = row;
  // Without locks, another tab may have sent the same and got its result first.
  if (!same(row.sent, outcome)) return row;
  if (task) return rebased({ ...received(row, task.rev, task), sent: null }, outcome);
  const refused = { ...row, sent: null, problem };
  // The id is in the trash, with contents that are not known here.
  const trashed = status === 409 ? { ...outcome, ...BLANK, deleted: true } : null;
  if (!base || !server) return { ...refused, base: trashed, server: trashed ?? server };
  if (status === 404 && base.deleted) return { ...gone(row), problem };
  const explained = server.deleted || server.rev !== base.rev;
  if (status !== 204 && status !== 404 && !(status === 412 && explained)) return refused;
  const latest = explained ? server : { ...server, deleted: true };
  // If an earlier response was lost, what the server has of the outcome is this client's own doing.
  const own = Object.entries(outcome).filter(([name, value]) => same(value, latest[name as keyof LocalTask]));
  return rebased({ ...row, sent: null, server: latest }, { ...base, ...Object.fromEntries(own) });
}

/** Repeat the user's changes since `ancestor` on the server's version, unless they clash with changes there. */
function rebased(row: Row, ancestor: LocalTask | null): Row {
  const { server, mine } = row;
  if (!server || !mine || !ancestor) return row;
  const ours = difference(mine, ancestor);
  const theirs = difference(server, ancestor);
  const clash =
    Object.keys(difference(ours, server)).some((name) => name in theirs) ||
    (ours.deleted && !theirs.deleted && !isEmpty(theirs)) ||
    (theirs.deleted && !ours.deleted && !isEmpty(ours));
  const wanted = withChanges(server, clash ? { ...ours, deleted: mine.deleted } : ours);
  return settled({ ...row, mine: wanted, base: server, problem: clash ? CONFLICT : row.problem });
}

/** Forget what the user wants once the server has it. */
function settled(row: Row): Row {
  const done = row.base && !row.sent && isEmpty(difference(row.mine!, row.base));
  return done ? { ...row, mine: null, base: null, problem: null } : row;
}

/** The changes that lead from `before` to `wanted`. */
function difference(wanted: Changes, before: LocalTask | null): Changes {
  const fields = Object.entries(wanted).filter(([name, value]) => value !== undefined && !READ_ONLY.includes(name));
  return Object.fromEntries(fields.filter(([name, value]) => !same(value, before?.[name as keyof LocalTask])));
}

function withChanges(before: LocalTask, changes: Changes): LocalTask {
  const different = difference(changes, before) as Partial<LocalTask>;
  if (isEmpty(different)) return before;
  const updated_at = new Date().toISOString();
  const after = { ...before, ...different, updated_at };
  return after.completed === before.completed ? after : { ...after, completed_at: after.completed ? updated_at : null };
}

// What the server trims would look like somebody else's change after a lost response.
function asStored({ ...fields }: Changes): Changes {
  if (fields.title) fields.title = fields.title.trim();
  if (fields.priority === null) fields.priority = BLANK.priority;
  if (fields.tags !== undefined) fields.tags = [...new Set(fields.tags?.map((tag) => tag.trim()))];
  fields.due_date &&= fields.due_date.replace(/(T\d\d:\d\d)$/, "$1:00").replace(/\.\d+/, "");
  return fields;
}
