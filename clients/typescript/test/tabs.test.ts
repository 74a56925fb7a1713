/** Several tabs of one browser, whose IndexedDB and locks are stood in for. */
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { indexedDBStorage, TaskSync } from "tasks-api-client";
import { clientOf, newUser, startProxy, until } from "./support.js";

const proxy = await startProxy();
const tabs: TaskSync[] = [];
afterEach(() => Promise.all(tabs.splice(0).map((tab) => tab.stop())));

/** As in a browser: whoever asks for a lock waits for those who asked before. */
const queues = new Map<string, Promise<unknown>>();
const locks = {
  async request(name: string, { signal }: { signal: AbortSignal }, work: () => Promise<void>): Promise<void> {
    const before = queues.get(name) ?? Promise.resolve();
    const turn = before.catch(() => {}).then(() => (signal.throwIfAborted(), work()));
    queues.set(name, turn);
    return turn;
  },
};
Object.defineProperty(globalThis, "navigator", { value: { locks } });

function open(userId: string, { address = proxy.address, interval = 100 } = {}): TaskSync {
  const tab = new TaskSync({ client: clientOf(userId, address), userId, interval, retryDelay: 10 });
  tabs.push(tab);
  return tab;
}

test("tabs show each other's changes, and one at a time sends them, once", async () => {
  const user = newUser();
  const batches: { op: string }[] = [];
  const statuses: number[] = [];
  proxy.onResponse = (path, _status, sent, received) => {
    if (!path.endsWith("/batch")) return;
    batches.push(...JSON.parse(sent).operations);
    statuses.push(...JSON.parse(received).results.map(({ status }: { status: number }) => status));
  };
  const [first, second] = [open(user), open(user)];
  await Promise.all([first.start(), second.start()]);
  for (let number = 0; number < 20; number += 1) {
    await (number % 2 ? first : second).create({ title: `task ${number}` });
  }
  await until(() => [first, second].every(({ tasks, status }) => tasks.length === 20 && !status.pending));
  assert.deepEqual(first.tasks, second.tasks);
  assert.equal(batches.length, 20);
  assert.deepEqual(new Set(statuses), new Set([201]));
});

test("without locks the same change from two tabs is done once too", async () => {
  const user = newUser();
  const { request } = locks;
  locks.request = (_name, _options, work) => work();
  const [first, second] = [open(user), open(user)];
  const { id } = await first.create({ title: "milk" });
  await Promise.all([first.sync(), second.sync()]);
  await first.update(id, { title: "tea" });
  await Promise.all([first.sync(), second.sync()]);
  await first.delete(id);
  await first.restore(id);
  await Promise.all([first.sync(), second.sync()]);
  locks.request = request;
  const { data } = await clientOf(user).GET("/api/tasks");
  assert.deepEqual(data?.map(({ title }) => title), ["tea"]);
  assert.deepEqual([first.conflicts, second.conflicts], [[], []]);
});

test("another tab sends what a closed one has left", async () => {
  const user = newUser();
  const [closed, other] = [open(user, { address: "http://127.0.0.1:9", interval: 60_000 }), open(user)];
  await closed.start();
  await closed.create({ title: "milk" });
  await closed.stop();
  await closed.create({ title: "tea" });
  await other.start();
  assert.equal(other.tasks.length, 2);
  await until(() => other.status.pending === 0);
  assert.equal((await clientOf(user).GET("/api/tasks")).data?.length, 2);
});

test("a reload shows the tasks before the service is reached", async () => {
  const user = newUser();
  const before = open(user);
  await before.create({ title: "milk" });
  await before.sync();
  await before.create({ title: "tea" });
  const after = open(user, { address: "http://127.0.0.1:9" });
  await after.start();
  assert.deepEqual(after.tasks, before.tasks);
  assert.equal(after.status.pending, 1);
});

test("users of one browser do not see each other's tasks", async () => {
  const [alice, bob] = [open(newUser()), open(newUser())];
  await alice.create({ title: "milk" });
  await Promise.all([alice.start(), bob.start()]);
  assert.deepEqual(bob.tasks, []);
});

test("signing out leaves nothing, in any tab", async () => {
  const user = newUser();
  const [first, second] = [open(user), open(user)];
  await Promise.all([first.start(), second.start()]);
  await first.create({ title: "milk" });
  await until(() => second.tasks.length === 1);
  await first.clear();
  assert.deepEqual([first.tasks, first.deleted, first.conflicts, first.status.pending], [[], [], [], 0]);
  await until(() => second.status.signedOut);
  assert.deepEqual(second.tasks, []);
  await assert.rejects(second.create({ title: "tea" }));
  const databases = (await indexedDB.databases()).map(({ name }) => name);
  assert(!databases.some((name) => name?.includes(user)), `${databases}`);
  assert.equal((await indexedDBStorage(user).access(null)).rows.size, 0);
});
