/** Uses the code of docs/other-backends.md: `node drive-other-backends.mjs <address> <token>…`. */
import assert from "node:assert/strict";
import * as page from "./node_modules/other-backends.mjs";

const [address, ...tokens] = process.argv.slice(2);
const [token] = tokens;

async function send(path, method = "GET", body = undefined) {
  const headers = { ...page.headers(token), "Content-Type": "application/json" };
  return fetch(address + path, { method, headers, body: JSON.stringify(body) });
}
const json = async (...request) => page.bodyOf(await send(...request));

// Every claim names the same user.
for (const each of tokens) {
  const me = await fetch(`${address}/api/me`, { headers: page.headers(each) });
  assert.equal((await me.json()).id, "alice");
}

const path = page.pathOf("alice");
const first = page.withoutUser(page.withId({ title: "Buy milk", userId: "alice" }));
const created = page.fromResponse(await json(path, "POST", page.toRequest({ ...first, is_completed: true })));
assert.deepEqual([created.id, created.is_completed], [first.id, true]);
const second = await json(path, "POST", page.statusToRequest({ title: "Buy tea", status: "completed" }));
assert.equal(page.statusFromResponse(second).status, "completed");
const changed = page.toCamel(await json(`${path}/${second.id}`, "PUT", page.statusToRequest({ status: "pending" })));
assert.equal(page.statusFromResponse(changed).status, "pending");
assert.equal(changed.createdAt, second.created_at);
const same = await json(`${path}/${second.id}`, "PUT", page.toSnake(changed));
assert.deepEqual(page.toCamel(same), changed);

const tasks = await json(path);
assert.equal(page.wrapList(tasks).total, 2);
assert.deepEqual(page.pageOf(tasks, 2, 1), [tasks[1]]);
const start = await send(`${path}?limit=1`);
assert.deepEqual(await start.json(), [tasks[0]]);
const rest = await send(page.nextPath(start));
assert.deepEqual(await rest.json(), [tasks[1]]);
assert.equal(page.nextPath(rest), undefined);

const refused = await send(path, "POST", { title: "", is_completed: true });
assert.equal(refused.headers.get("content-type"), "application/json");
const problem = await refused.json();
assert.equal(page.messageOf(problem), "title: must not be empty.");
assert.deepEqual(Object.keys(page.fieldsOf(problem)), ["title", "is_completed"]);
assert.equal(await json(`${path}/${first.id}`, "DELETE"), null);
