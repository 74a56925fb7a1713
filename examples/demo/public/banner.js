/** A line above the list with a button, which screen readers announce. */
import { element, find } from "./dom.js";

export function showBanner(selector, text, label, onclick) {
  const banner = find(selector);
  if (banner.firstChild?.textContent === text) return; // Announced already.
  banner.replaceChildren();
  if (text) banner.append(element("span", { textContent: text }), element("button", { textContent: label, onclick }));
}
