/** What the user can do to a task; most of it can be undone. */
import { openEditor } from "./editor.js";
import { positionsAfterMove } from "./order.js";
import { showToast } from "./toast.js";

export function edit(sync, task) {
  openEditor("Edit task", task, (changes) => sync.update(task.id, changes));
}

export async function complete(sync, { id, title, completed }) {
  await sync.update(id, { completed: !completed });
  showToast(`${completed ? "Reopened" : "Completed"} “${title}”.`, () => sync.update(id, { completed }));
}

export async function remove(sync, { id, title }) {
  await sync.delete(id);
  showToast(`Moved “${title}” to the trash.`, () => sync.restore(id));
}

export async function restore(sync, { id, title }) {
  await sync.restore(id);
  showToast(`Restored “${title}”.`, () => sync.delete(id));
}

/** Move one of the ordered tasks to another place. */
export async function move(sync, tasks, from, to) {
  if (to < 0 || to >= tasks.length || to === from) return;
  const moved = positionsAfterMove(tasks.toSpliced(from, 1).toSpliced(to, 0, tasks[from]), to);
  const before = tasks.filter(({ id }) => moved.has(id)).map(({ id, position }) => [id, position]);
  const place = (positions) => Promise.all([...positions].map(([id, position]) => sync.update(id, { position })));
  await place(moved);
  showToast(`Moved “${tasks[from].title}” to place ${to + 1} of ${tasks.length}.`, () => place(before));
}
