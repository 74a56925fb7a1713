/** Uses an API module as a frontend does: `node drive.mjs <module> <address> <token> <expired token>`. */
import assert from "node:assert/strict";

const [module, address, token, expired] = process.argv.slice(2);
const { createApi } = await import(module);
const api = createApi(address, "alice", () => token);

assert.deepEqual(await api.list(), []);
const created = await api.create({ title: "Buy milk", description: "Two litres" });
assert.equal(created.title, "Buy milk");
assert.deepEqual(await api.get(created.id), created);
await api.create({ title: "Buy tea" });

const toggled = await api.toggle(created.id);
assert.equal(toggled.completed, true);
assert.equal((await api.toggle(created.id)).completed, false);

// The whole task goes back, as forms send it.
const updated = await api.update({ ...created, title: "Buy oat milk", completed: true });
assert.deepEqual([updated.title, updated.description, updated.completed], ["Buy oat milk", "Two litres", true]);
const titles = async (filters) => (await api.list(filters)).map(({ title }) => title);
assert.deepEqual(await titles({ completed: "true" }), ["Buy oat milk"]);
assert.deepEqual(await titles({ limit: 1 }), ["Buy tea"]);

// Each message is what a user gets to see.
await assert.rejects(api.create({ title: "" }), { message: "title: must not be empty." });
await assert.rejects(api.create({ title: "Buy rum", details: "" }), {
  message: "details: is called description here.",
});
await assert.rejects(api.list({ completed: "maybe" }), { message: "completed: must be true or false." });

assert.ok(!(await api.remove(created.id)));
for (const missing of [created.id, crypto.randomUUID(), "7"]) {
  await assert.rejects(api.get(missing), { message: "Task not found." });
}
await assert.rejects(api.remove(created.id), { message: "Task not found." });

await assert.rejects(createApi(address, "alice", () => expired).list(), { message: "The token has expired." });
await assert.rejects(createApi(address, "alice", () => `Bearer ${token}`).list(), {
  message: "The header says Bearer twice; write it once, as in: Authorization: Bearer <token>.",
});
if (module.includes("axios")) {
  const renewing = createApi(address, "alice", ({ fresh }) => (fresh ? token : expired));
  assert.deepEqual((await renewing.list()).map(({ title }) => title), ["Buy tea"]);
} else {
  const bobs = createApi(address, "bob", () => token);
  await assert.rejects(bobs.list(), { message: "These tasks belong to another user." });
}
