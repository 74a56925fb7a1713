/** One task as an item of the list. */
import { dayOf, inWords, today } from "./dates.js";
import { element, find } from "./dom.js";

const VERBS = { move: "Move", complete: "Complete", choose: "Choose version of", delete: "Delete", restore: "Restore" };

export function newItem({ id }) {
  const item = find("#task").content.cloneNode(true).firstElementChild;
  item.dataset.id = id;
  return item;
}

export function showTask(item, task, inConflict) {
  item.classList.toggle("in-conflict", inConflict);
  // The library keeps the object until the task changes; what is overdue changes with the day.
  if (item.task === task && item.day === today()) return;
  Object.assign(item, { task, day: today() });
  item.classList.toggle("completed", task.completed);
  find(".text", item).textContent = task.title;
  find(".notes", item).textContent = task.description ?? "";
  find(".chips", item).replaceChildren(...chips(task));
  find("[type=checkbox]", item).checked = task.completed;
  for (const [action, label] of Object.entries(VERBS)) {
    find(`[data-action=${action}]`, item).ariaLabel = `${label} “${task.title}”`;
  }
}

function chips({ due_date, completed, priority, tags }) {
  const found = tags.map((tag) => element("span", { className: "chip tag", textContent: tag, dir: "auto" }));
  if (priority !== "medium") found.unshift(element("span", { className: `chip ${priority}`, textContent: priority }));
  if (due_date) {
    const day = dayOf(due_date);
    const overdue = day < today() && !completed;
    const className = overdue ? "chip overdue" : day === today() ? "chip due-today" : "chip";
    const textContent = (overdue ? "Overdue: " : "") + inWords(due_date);
    found.unshift(element("time", { dateTime: due_date, className, textContent }));
  }
  return found;
}
