/** Tasks that were changed here and elsewhere: the user chooses the version to keep. */
import { showBanner } from "./banner.js";
import { inWords } from "./dates.js";
import { element, find } from "./dom.js";

const dialog = find("#conflict");
const CHANGED_ELSEWHERE = 412;
const FIELDS = {
  title: ["Title", (title) => title],
  description: ["Notes", (description) => description ?? "None"],
  completed: ["Done", (completed) => (completed ? "Yes" : "No")],
  due_date: ["Due", (due) => (due ? inWords(due) : "No date")],
  priority: ["Priority", (priority) => priority[0].toUpperCase() + priority.slice(1)],
  tags: ["Tags", (tags) => tags.join(", ") || "None"],
};

export function showConflicts(sync) {
  sync.subscribe(() => {
    const [first, ...more] = sync.conflicts;
    const text = more.length ? `${more.length + 1} tasks need your choice.` : "1 task needs your choice.";
    showBanner("#conflicts", first && text, "Choose", () => showConflict(sync, sync.conflicts[0]));
    // It may have been resolved in another tab.
    if (dialog.open && !sync.conflicts.some(({ id }) => id === dialog.dataset.task)) dialog.close("later");
  });
}

export function showConflict(sync, { id }) {
  const { mine, theirs, problem } = sync.conflicts.find((conflict) => conflict.id === id);
  const elsewhere = problem.status === CHANGED_ELSEWHERE;
  const differs = (name) => name === "title" || String(mine?.[name]) !== String(theirs?.[name]);
  const names = Object.keys(FIELDS).filter(differs);
  dialog.dataset.task = id;
  find("h2", dialog).textContent = elsewhere ? "Which version do you want to keep?" : "This change was refused";
  find("p", dialog).textContent = elsewhere ? "This task was changed here and elsewhere." : problem.detail;
  find("[value=mine]", dialog).textContent = elsewhere ? "Keep mine" : "Try again";
  find("[value=theirs]", dialog).textContent = elsewhere ? "Keep theirs" : "Undo my change";
  find(".mine", dialog).replaceChildren(...describe(mine, names));
  find(".theirs", dialog).replaceChildren(...describe(theirs, names, elsewhere ? "Deleted" : "Not saved"));
  dialog.returnValue = "later";
  dialog.showModal();
  dialog.onclose = () => {
    if (dialog.returnValue !== "later") sync.resolve(id, dialog.returnValue);
  };
}

function describe(task, names, missing = "Deleted") {
  if (!task) return [element("dt", { textContent: missing })];
  return names.flatMap((name) => {
    const [label, show] = FIELDS[name];
    return [element("dt", { textContent: label }), element("dd", { textContent: show(task[name]), dir: "auto" })];
  });
}
