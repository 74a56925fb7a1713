/** A message for some seconds, with a button that undoes what it tells. */
import { element, find } from "./dom.js";

const SECONDS = 10;
const toast = find("#toast");
let timer;
let undo;

export function showToast(text, undoIt) {
  clearTimeout(timer);
  undo = () => (hide(), undoIt());
  const button = element("button", { textContent: "Undo", title: "Ctrl+Z", onclick: undo });
  toast.replaceChildren(element("span", { textContent: text }), button);
  timer = setTimeout(hideUnlessUsed, SECONDS * 1000);
}

function hideUnlessUsed() {
  if (!toast.matches(":hover, :focus-within")) return hide();
  timer = setTimeout(hideUnlessUsed, 1000);
}

function hide() {
  clearTimeout(timer);
  undo = undefined;
  toast.replaceChildren();
}

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), textarea");
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !typing) undo?.();
});
