/** The line that says what keeps changes from reaching the service. */
import { showBanner } from "./banner.js";

export function showStatus(sync, signInAgain) {
  const render = () => showBanner("#status", ...message(sync, signInAgain));
  sync.subscribe(render);
  addEventListener("online", render);
  addEventListener("offline", render);
}

function message(sync, signInAgain) {
  const { online, pending, error, signedOut } = sync.status;
  const tryAgain = ["Try again", () => sync.sync().catch(() => {})]; // `status` says why it failed.
  const waiting = pending === 1 ? "1 change waits for the connection." : `${pending} changes wait for the connection.`;
  const kept = pending ? waiting : "Go on: your changes are kept here.";
  if (signedOut) return ["Your session has ended.", "Sign in again", signInAgain];
  if (!navigator.onLine) return [`You are offline. ${kept}`, ...tryAgain];
  if (!online) return [`The service cannot be reached. ${kept}`, ...tryAgain];
  return [error?.message, ...tryAgain];
}
