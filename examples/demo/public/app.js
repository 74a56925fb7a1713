/** Starts the app for the user who is signed in, or shows the form to sign in. */
import { createTasksClient, TaskSync } from "tasks-api-client";
import { completeSignOut, currentUser, getToken, onOtherUser, signOut } from "./auth.js";
import { API } from "./config.js";
import { showConflicts } from "./conflicts.js";
import { find } from "./dom.js";
import { keepPage } from "./offline.js";
import { showSignIn } from "./sign-in.js";
import { showStatus } from "./status.js";
import { showLists } from "./view.js";

const user = currentUser();
onOtherUser(() => location.reload());
if (user) showApp(user);
else completeSignOut().then(() => showSignIn());
keepPage().catch(console.warn);

function showApp({ id, name, email }) {
  const client = createTasksClient({ baseUrl: API, getToken });
  const sync = new TaskSync({ client, userId: id, interval: 10_000 });
  find("#user-name").textContent = name;
  find("#user-email").textContent = email;
  find("#sign-out").addEventListener("click", () => leave(sync));
  showLists(sync);
  showConflicts(sync);
  showStatus(sync, () => {
    find("#app").hidden = true;
    showSignIn(sync, email);
  });
  find("#app").hidden = false;
  sync.start();
}

async function leave(sync) {
  const unsaved = sync.status.pending + sync.conflicts.length;
  if (unsaved && !confirm(`Sign out and lose what is not saved yet (${unsaved})?`)) return;
  await sync.clear();
  await signOut();
  location.reload();
}
