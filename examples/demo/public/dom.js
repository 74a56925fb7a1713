/** Two helpers for all modules. Text is set as `textContent`, so that nobody's title becomes markup. */

export const find = (selector, root = document) => root.querySelector(selector);

export function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}
