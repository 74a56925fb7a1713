/** Drag an item of a list by its handle to another place. */
const EDGE = 60;

export function enableDragging(list, onMove) {
  list.addEventListener("pointerdown", (event) => {
    const item = event.target.closest("[data-action=move]")?.closest("li");
    if (!item || event.button) return;
    event.preventDefault();
    const from = placeOf(item);
    const grip = event.clientY - item.getBoundingClientRect().top;
    const drag = new AbortController();
    const { signal } = drag;
    // By the list: an item that moves in the document would lose the pointer.
    list.setPointerCapture(event.pointerId);
    list.classList.add("dragging");
    item.classList.add("dragged");

    function end(to) {
      drag.abort();
      list.classList.remove("dragging");
      item.classList.remove("dragged");
      item.style.translate = "";
      onMove(from, to);
    }

    list.addEventListener("pointermove", ({ clientY }) => follow(item, clientY, grip), { signal });
    list.addEventListener("pointerup", () => end(placeOf(item)), { signal });
    list.addEventListener("pointercancel", () => end(from), { signal });
  });
}

function follow(item, y, grip) {
  if (y < EDGE || y > innerHeight - EDGE) scrollBy(0, y < EDGE ? -15 : 15);
  const below = [...item.parentElement.children].find((other) => {
    const { top, height } = other.getBoundingClientRect();
    return other !== item && y < top + height / 2;
  });
  if (item.nextElementSibling !== (below ?? null)) item.parentElement.insertBefore(item, below ?? null);
  item.style.translate = "";
  item.style.translate = `0 ${y - grip - item.getBoundingClientRect().top}px`;
}

const placeOf = (item) => [...item.parentElement.children].indexOf(item);
