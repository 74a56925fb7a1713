/** Which tasks are in which list, and in which order. `dueDate` is what a task gets that is added there. */
import { dayOf, longDay, today, tomorrow } from "./dates.js";

export const LISTS = {
  today: {
    title: "Today",
    get subtitle() { return longDay(today()); },
    empty: "Nothing is due today. Enjoy it, or plan ahead.",
    has: (task) => !task.completed && task.due_date && dayOf(task.due_date) <= today(),
    order: byDueDate,
    dueDate: today,
  },
  upcoming: {
    title: "Upcoming",
    subtitle: "From tomorrow on",
    empty: "No plans yet. Tasks with a later date wait here.",
    has: (task) => !task.completed && task.due_date && dayOf(task.due_date) > today(),
    order: byDueDate,
    dueDate: tomorrow,
  },
  all: {
    title: "All",
    subtitle: "In your own order",
    empty: "Add your first task above. It is kept at once, with or without a connection.",
    has: (task) => !task.completed,
    order: byPosition,
    dueDate: () => null,
  },
  done: {
    title: "Done",
    subtitle: "Latest first",
    empty: "What you complete is kept here.",
    has: (task) => task.completed,
    order: (a, b) => compare(b.completed_at, a.completed_at),
  },
  trash: { title: "Trash", subtitle: "Kept for 30 days", empty: "The trash is empty." },
};
const URGENCY = ["urgent", "high", "medium", "low"];

/** The tasks of a list that have `search` in their texts. */
export function tasksOf(name, sync, search = "") {
  const { has, order } = LISTS[name];
  const wanted = search.trim().toLocaleLowerCase();
  const matches = ({ title, description, tags }) =>
    [title, description ?? "", ...tags].some((text) => text.toLocaleLowerCase().includes(wanted));
  return (has ? sync.tasks.filter(has).sort(order) : sync.deleted).filter(matches);
}

function byDueDate(a, b) {
  const urgency = (task) => URGENCY.indexOf(task.priority);
  return compare(dayOf(a.due_date), dayOf(b.due_date)) || urgency(a) - urgency(b) || byPosition(a, b);
}

// As the service sorts: byte by byte, what has no position last.
function byPosition(a, b) {
  return compare(a.position ?? "\x7f", b.position ?? "\x7f") || compare(a.id, b.id);
}
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
