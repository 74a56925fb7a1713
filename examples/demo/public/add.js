/** The form above a list that adds a task to it. */
import { find } from "./dom.js";
import { openEditor } from "./editor.js";
import { LISTS, tasksOf } from "./lists.js";
import { positionOnTop } from "./order.js";
import { showToast } from "./toast.js";

const form = find("#add");
const { title } = form.elements;

export function enableAdding(sync, currentList) {
  // In the list that is open, unless the user says otherwise.
  const proposal = () => ({ title: title.value.trim(), due_date: LISTS[currentList()].dueDate() });

  async function add(fields) {
    form.reset();
    title.focus();
    const task = await sync.create({ ...fields, position: positionOnTop(tasksOf("all", sync)) });
    if (!LISTS[currentList()].has(task)) showToast(`Added “${task.title}”.`, () => sync.delete(task.id));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add(proposal());
  });
  find("[type=button]", form).addEventListener("click", () => {
    openEditor("New task", proposal(), (changes) => add({ ...proposal(), ...changes }));
  });
}
