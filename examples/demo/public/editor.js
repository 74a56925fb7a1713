/** The dialog with all fields of a task. */
import { dayOf } from "./dates.js";
import { find } from "./dom.js";

const dialog = find("#editor");
const { elements } = find("form", dialog);
find("[type=button]", dialog).addEventListener("click", () => dialog.close());

/** Let the user edit the fields; `save` gets those that they changed, as others may have changed elsewhere. */
export function openEditor(heading, task, save) {
  fill(task);
  const before = read();
  find("h2", dialog).textContent = heading;
  dialog.returnValue = "cancel";
  dialog.showModal();
  dialog.onclose = () => {
    const changed = Object.entries(read()).filter(([name, value]) => String(value) !== String(before[name]));
    if (dialog.returnValue === "save") save(Object.fromEntries(changed));
  };
}

function fill({ title = "", description, due_date, priority = "medium", tags = [] }) {
  elements.title.value = title;
  elements.description.value = description ?? "";
  elements.due_date.value = due_date ? dayOf(due_date) : "";
  elements.priority.value = priority;
  elements.tags.value = tags.join(", ");
}

function read() {
  return {
    title: elements.title.value.trim(),
    description: elements.description.value || null,
    due_date: elements.due_date.value || null,
    priority: elements.priority.value,
    tags: elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean),
  };
}
