/** The list that the address names: its tasks, and what is done to them. */
import { complete, edit, move, remove, restore } from "./actions.js";
import { enableAdding } from "./add.js";
import { showConflict } from "./conflicts.js";
import { find } from "./dom.js";
import { enableDragging } from "./drag.js";
import { LISTS, tasksOf } from "./lists.js";
import { newItem, showTask } from "./task-item.js";

const ACTIONS = { complete, edit, delete: remove, restore, choose: showConflict };
const list = find("#tasks");
const search = find("#search");
const items = new Map();
let sync;
let tasks = [];
let frame;

export function showLists(ofUser) {
  sync = ofUser;
  sync.subscribe(() => {
    cancelAnimationFrame(frame); // Show many changes at once.
    frame = requestAnimationFrame(render);
  });
  search.addEventListener("input", render);
  addEventListener("visibilitychange", render); // The day may have changed.
  addEventListener("hashchange", () => {
    search.value = "";
    render();
  });
  list.addEventListener("click", ({ target }) => {
    const action = ACTIONS[target.closest("[data-action]")?.dataset.action];
    action?.(sync, target.closest("li").task);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || !event.altKey || !("ordered" in list.dataset)) return;
    event.preventDefault();
    const from = tasks.indexOf(event.target.closest("li").task);
    move(sync, tasks, from, from + step);
  });
  enableDragging(list, (from, to) => move(sync, tasks, from, to).then(render));
  enableAdding(sync, currentList);
  render();
}

const currentList = () => (Object.hasOwn(LISTS, location.hash.slice(1)) ? location.hash.slice(1) : "today");

function render() {
  if (list.classList.contains("dragging")) return;
  const name = currentList();
  const { title, subtitle, empty } = LISTS[name];
  tasks = tasksOf(name, sync, search.value);
  document.title = `${title} · Tasks`;
  find("#app").dataset.list = name;
  find("#title").textContent = title;
  find("#subtitle").textContent = subtitle;
  find("#empty").hidden = tasks.length > 0;
  find("#empty p").textContent = search.value ? "No task in this list has these words." : empty;
  find("#empty use").setAttribute("href", `icons.svg#${search.value ? "search" : name}`);
  list.toggleAttribute("data-ordered", name === "all" && !search.value);
  for (const link of document.querySelectorAll("nav a")) {
    const other = link.hash.slice(1);
    link.ariaCurrent = other === name ? "page" : null;
    if (LISTS[other].dueDate) find("b", link).textContent = tasksOf(other, sync).length || "";
  }
  renderTasks();
}

/** Change only what differs, so that the focus and a screen reader's place stay. */
function renderTasks() {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const place = [...list.children].indexOf(focused?.closest("li"));
  const conflicts = new Set(sync.conflicts.map(({ id }) => id));
  const shown = tasks.map((task) => {
    const item = items.get(task.id) ?? newItem(task);
    items.set(task.id, item);
    showTask(item, task, conflicts.has(task.id));
    find(".text", item).disabled = currentList() === "trash";
    return item;
  });
  for (const item of [...list.children]) if (!shown.includes(item)) item.remove();
  shown.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  if (!focused || list.contains(document.activeElement)) return;
  const item = focused.isConnected ? focused.closest("li") : (shown[place] ?? shown.at(-1));
  find(item ? `[data-action=${focused.dataset.action}]` : "#title", item).focus();
}
