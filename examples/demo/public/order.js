/** The order by hand: a task's `position` is a key between those of its neighbours. */
import { generateKeyBetween, generateNKeysBetween } from "fractional-indexing";

export const positionOnTop = (tasks) => keyBetween(undefined, tasks[0]) ?? generateKeyBetween(null, null);

/** The new positions, by id, for the task that was moved to `index`. */
export function positionsAfterMove(tasks, index) {
  const key = keyBetween(tasks[index - 1], tasks[index + 1]);
  if (key) return new Map([[tasks[index].id, key]]);
  // Other clients left positions out, or two of them chose the same one: number all.
  const keys = generateNKeysBetween(null, null, tasks.length);
  return new Map(tasks.map(({ id }, place) => [id, keys[place]]));
}

function keyBetween(above, below) {
  try {
    return above && !above.position ? null : generateKeyBetween(above?.position ?? null, below?.position ?? null);
  } catch {
    return null;
  }
}
