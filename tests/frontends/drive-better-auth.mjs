/**
 * Signs up and uses the client of docs/better-auth.md as a page of the sign-in service's origin:
 * `node drive-better-auth.mjs fetch|jwtClient <origin>`.
 */
import assert from "node:assert/strict";

const [client, origin] = process.argv.slice(2);

// What a browser adds: relative addresses, the page's origin, and its cookies.
const cookies = new Map();
let tokensFetched = 0;
const fetchOverNetwork = globalThis.fetch;
globalThis.fetch = async (address, options = {}) => {
  const url = new URL(address, origin);
  const headers = new Headers(options.headers);
  headers.set("Origin", origin);
  if (url.origin === origin) headers.set("Cookie", [...cookies].map((pair) => pair.join("=")).join("; "));
  const response = await fetchOverNetwork(url, { ...options, headers });
  for (const cookie of url.origin === origin ? response.headers.getSetCookie() : []) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
    cookies.set(name, value);
  }
  if (url.pathname === "/api/auth/token") tokensFetched += 1;
  return response;
};
// A clock that goes when told to.
const timers = [];
const startTimer = globalThis.setTimeout;
globalThis.setTimeout = (callback, delay, ...rest) =>
  delay < 60_000 ? startTimer(callback, delay, ...rest) : timers.push({ callback, delay });

const user = { name: "Ada", email: "ada@example.com", password: "correct horse" };
const signedUp = await fetch("/api/auth/sign-up/email", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(user),
});
assert.equal(signedUp.status, 200, await signedUp.clone().text());

// The page's code creates a task and lists it.
const { api, forgetToken, authClient } = await import("./node_modules/better-auth-client.mjs");
const tasks = await (await api("/api/tasks")).json();
assert.deepEqual(tasks.map(({ title }) => title), ["Buy milk"]);
assert.equal((await (await api("/api/me")).json()).email, user.email);
await Promise.all([api("/api/tasks"), api("/api/tasks")]);
assert.equal(tokensFetched, 1);

if (client === "jwtClient") {
  const [{ callback, delay }] = timers;
  assert.equal(delay, (15 - 1) * 60_000);
  callback();
  assert.equal((await api("/api/tasks")).status, 200);
  assert.equal(tokensFetched, 2);

  await authClient.signOut();
  forgetToken();
  await assert.rejects(api("/api/tasks"), { message: "Not signed in" });
}
process.exit();
