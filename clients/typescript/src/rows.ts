import { changedFields } from "./fields.js";
import type { Operation, Problem, Result, Task, TaskChanges } from "./types.js";

/** Something that the user did to a task. */
export interface Change {
  /** Numbers all changes of the copy in the order in which they were made. */
  readonly seq: number;
  readonly op: "create" | "update" | "delete" | "restore";
  readonly fields: TaskChanges;
  readonly at: string;
}

/** One task: what the server has, and what the user changed since. */
export interface Row {
  readonly id: string;
  /** The server's version, kept while the task is in the trash; null if the server has none. */
  readonly server: Task | null;
  /** When this client learned that the task is in the server's trash. */
  readonly deletedAt: string | null;
  /** The newest rev of the task or of its deletion, so that a late response cannot undo a newer one. */
  readonly rev: number;
  /** What the server has not confirmed, oldest first. */
  readonly queue: readonly Change[];
  /** Whether the first change in the queue is, or may have been, sent. */
  readonly sent: boolean;
  /** The version that the first change in the queue was made on. */
  readonly base: Task | null;
  /** Why the queue waits for the app. */
  readonly problem: Problem | null;
}

export interface View {
  readonly task: Task;
  readonly deletedAt: string | null;
}

const CONFLICT: Problem = {
  status: 412,
  code: "precondition_failed",
  detail: "The task was changed elsewhere meanwhile.",
};
const BLANK = { server: null, deletedAt: null, rev: 0, queue: [], sent: false, base: null, problem: null };

export function newRow(id: string): Row {
  return { id, ...BLANK };
}

export function change(seq: number, op: Change["op"], fields: TaskChanges = {}): Change {
  return { seq, op, fields, at: now() };
}

/** The task as the user sees it: the server's version under the changes in the queue. */
export function view({ server, base, deletedAt, queue }: Row): View {
  const start = { task: (server ?? base)!, deletedAt };
  return queue.reduce<View>(({ task }, change) => {
    return { task: applied(change, task), deletedAt: change.op === "delete" ? change.at : null };
  }, start);
}

function applied({ op, fields, at }: Change, task: Task): Task {
  if (op === "delete" || op === "restore") return task;
  const after = { ...task, ...(fields as Partial<Task>), updated_at: at };
  if (after.completed !== task.completed) after.completed_at = after.completed ? at : null;
  return after;
}

/** Whether the server never had the task and is not to get it. */
export function isEmpty({ server, queue }: Row): boolean {
  return !server && !queue.length;
}

/** Add a change by the user, which is a new attempt if the server refused the one before. */
export function enqueue(row: Row, change: Change): Row {
  const after = appended(row, change);
  return row.problem && row.problem.status !== CONFLICT.status ? retry(after, change.seq) : after;
}

/** Add a change, or merge it with the one before if that has not been sent. */
function appended(row: Row, change: Change): Row {
  const last = row.queue.length > (row.sent ? 1 : 0) ? row.queue.at(-1) : undefined;
  const earlier = row.queue.slice(0, -1);
  const base = row.queue.length ? row.base : row.server;
  if (change.op === "update" && (last?.op === "create" || last?.op === "update")) {
    const merged = { ...last, at: change.at, fields: { ...last.fields, ...change.fields } };
    return { ...row, queue: [...earlier, merged] };
  }
  const undone = { delete: "restore", restore: "delete", create: "", update: "" }[change.op];
  if (last?.op === undone) return { ...row, queue: earlier };
  return { ...row, base, queue: [...row.queue, change] };
}

/** Whether the task was created and deleted before the server heard of it. */
export function isDiscarded({ sent, queue }: Row): boolean {
  return !sent && queue[0]?.op === "create" && queue.at(-1)?.op === "delete";
}

/** Whether there is something to send. */
export function isReady(row: Row): boolean {
  return row.queue.length > 0 && !row.problem && !isDiscarded(row);
}

/** What to send for the first change in the queue. */
export function operation({ id, queue, base }: Row): Operation {
  const { op, fields } = queue[0]!;
  const rev = base?.rev ?? 0;
  switch (op) {
    case "create":
      return { op, task: { ...fields, id } as Task };
    case "update":
      return { op, id, rev, task: fields };
    case "delete":
      return { op, id, rev };
    case "restore":
      return { op, id };
  }
}

/** Take over a newer version from the server. */
export function receive(row: Row, task: Task): Row {
  if (task.rev <= row.rev) return row;
  return rebased({ ...row, server: task, deletedAt: null, rev: task.rev });
}

/** Take over a deletion on the server. */
export function receiveDeletion(row: Row, rev: number): Row {
  return rev <= row.rev ? row : rebased({ ...row, deletedAt: row.deletedAt ?? now(), rev });
}

/** Take over that the server has this version, or none, whatever it had before. */
export function replace(row: Row, task: Task | null): Row {
  return rebased({ ...row, server: task, deletedAt: null, rev: task?.rev ?? 0 });
}

/** Take over the result of the change `seq`. */
export function confirm(row: Row, seq: number, { status, task, problem }: Result): Row {
  const [first, ...rest] = row.queue;
  // Without a lock, another tab may have sent the same change and got its result first.
  if (!row.sent || first?.seq !== seq) return row;
  const open = { ...row, sent: false };
  if (task) {
    // Answers to a repeated create or restore hold what others wrote since; those to an update with a rev do not.
    const mine = status === 201 || first.op === "update" || !row.base;
    const base = mine ? task : applied(first, row.base);
    return rebased({ ...receive({ ...row, queue: rest, base }, task), sent: false });
  }
  const news = row.deletedAt !== null || row.server?.rev !== row.base?.rev;
  if (status === 204) return rebased({ ...open, deletedAt: now() });
  if (status === 404 && first.op === "restore") return { ...replace(open, null), problem: problem! };
  if (status === 404 && !news) return rebased({ ...open, deletedAt: now() });
  if (status === 404 || (status === 412 && news)) return rebased(open);
  // A create with an id that is in the trash.
  const deletedAt = status === 409 ? now() : row.deletedAt;
  return { ...open, deletedAt, problem: problem! };
}

/**
 * Move an unsent queue to the server's newer version: what the server already has is done, what nobody else touched
 * is kept, and anything else is a conflict.
 */
function rebased(row: Row): Row {
  if (row.sent || row.problem) return row;
  const live = row.deletedAt ? null : row.server;
  let { base, queue } = row;
  for (let first; (first = queue[0]); queue = queue.slice(1)) {
    if (first.op === "create" || (first.op === "restore" && !live)) break;
    if (first.op === "restore" || (first.op === "delete" && !live)) continue;
    if (!live || !base) return { ...row, base, queue, problem: CONFLICT };
    const theirs = changedFields(live, base);
    if (first.op === "delete") {
      if (Object.keys(theirs).length) return { ...row, base, queue, problem: CONFLICT };
      break;
    }
    const fields = changedFields(first.fields, live);
    if (Object.keys(fields).some((name) => name in theirs)) return { ...row, base, queue, problem: CONFLICT };
    if (Object.keys(fields).length) {
      queue = [{ ...first, fields }, ...queue.slice(1)];
      break;
    }
    base = applied(first, base);
  }
  return { ...row, queue, base: queue.length ? (row.server ?? base) : null };
}

/** Replace the queue by one that turns the server's version into what the user sees. */
export function retry(row: Row, seq: number): Row {
  const { task, deletedAt } = view(row);
  const live = row.deletedAt ? null : row.server;
  const queue: Change[] = [];
  if (deletedAt) {
    if (live) queue.push(change(seq, "delete"));
  } else if (live || row.deletedAt) {
    const fields = changedFields(task, row.server);
    if (!live) queue.push(change(seq, "restore"));
    if (Object.keys(fields).length) queue.push(change(seq, "update", fields));
  } else {
    queue.push(change(seq, "create", changedFields(task, null)));
  }
  return { ...row, queue, base: row.server ?? task, sent: false, problem: null };
}

/** Give the user's changes up. */
export function discard(row: Row): Row {
  return { ...row, queue: [], base: null, sent: false, problem: null };
}

function now(): string {
  return new Date().toISOString();
}
