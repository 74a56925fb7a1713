/** One or two copies against the service, with harm done to single requests. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { createTasksClient, memoryStorage, RefusedError, TaskSync, type LocalTask, type TaskStorage } from "tasks-api-client";
import { clientOf, newUser, startProxy, tokenOf, until, type Proxy } from "./support.js";

const proxy = await startProxy();

function copyOf(userId: string, storage?: TaskStorage, baseUrl = proxy.address): TaskSync {
  const client = clientOf(userId, baseUrl);
  return new TaskSync({ client, userId, interval: 200, retryDelay: 10, ...(storage && { storage }) });
}

async function onServer(user: string): Promise<LocalTask[]> {
  const { data } = await clientOf(user).GET("/api/tasks", { params: { query: { limit: 500 } } });
  return data!.map((task) => ({ ...task, deleted: false }));
}

/** Two copies of one user's tasks that both have the task `milk`. */
async function pair() {
  const user = newUser();
  const [phone, laptop] = [copyOf(user), copyOf(user)];
  const { id } = await phone.create({ title: "milk" });
  await phone.sync();
  await laptop.sync();
  return { user, phone, laptop, id };
}

/** The titles of the batches' creates and updates that reached the server. */
function titlesSent(through: Proxy): string[] {
  const titles: string[] = [];
  through.onResponse = (path, _status, sent) => {
    if (path.endsWith("/batch")) for (const { task } of JSON.parse(sent).operations) titles.push(task?.title);
  };
  return titles;
}

test("reads and writes work without the service", async () => {
  const copy = copyOf(newUser(), undefined, "http://127.0.0.1:9");
  const { id } = await copy.create({ title: " milk ", tags: ["a", "a "], priority: null });
  await copy.update(id, { completed: true, due_date: "2026-02-05T10:00" });
  const [task] = copy.tasks;
  assert.deepEqual([task?.title, task?.tags, task?.priority], ["milk", ["a"], "medium"]);
  assert.equal(task?.due_date, "2026-02-05T10:00:00");
  assert(task?.completed_at);
  await assert.rejects(copy.sync());
  assert.deepEqual([copy.status.online, copy.status.pending, copy.status.signedOut], [false, 1, false]);
  await copy.delete(id);
  assert.deepEqual([copy.tasks.length, copy.deleted.length, copy.status.pending, copy.get(id)], [0, 1, 0, undefined]);
  await copy.restore(id);
  assert.equal(copy.get(id)?.title, "milk");
  await assert.rejects(copy.update(randomUUID(), { title: "tea" }), /no task/);
});

test("a task that was made and deleted offline never reaches the server, unless it is restored", async () => {
  const user = newUser();
  const copy = copyOf(user);
  const { id } = await copy.create({ title: "milk" });
  await copy.delete(id);
  assert.equal(copy.status.pending, 0);
  await copy.sync();
  assert.deepEqual(await onServer(user), []);
  await copy.restore(id);
  await copy.sync();
  assert.deepEqual(await onServer(user), copy.tasks);
});

test("snapshots are replaced, and only when something changes", async () => {
  const { phone: copy, id } = await pair();
  const { tasks } = copy;
  let calls = 0;
  const unsubscribe = copy.subscribe(() => (calls += 1));
  await copy.sync();
  assert.equal(copy.tasks, tasks);
  await copy.update(id, { title: "tea" });
  assert.notEqual(copy.tasks, tasks);
  assert.equal(tasks[0]?.title, "milk");
  assert(calls > 0);
  unsubscribe();
  const before = calls;
  await copy.update(id, { title: "rum" });
  assert.equal(calls, before);
});

test("a create whose response is lost is not done twice, also if its caller repeats it", async () => {
  const user = newUser();
  const copy = copyOf(user);
  const id = randomUUID();
  await copy.create({ id, title: "milk" });
  proxy.next = ["none", "lose"];
  await assert.rejects(copy.sync());
  await copy.create({ id, title: "milk" });
  await copy.update(id, { title: "oat milk" });
  assert.equal((await onServer(user)).length, 1);
  await copy.sync();
  assert.deepEqual(await onServer(user), copy.tasks);
  assert.deepEqual(copy.tasks.map(({ title }) => title), ["oat milk"]);
});

test("an update whose response is lost is no conflict with itself", async () => {
  const { user, phone, laptop, id } = await pair();
  await phone.update(id, { title: "tea" });
  proxy.next = ["none", "lose"];
  await assert.rejects(phone.sync());
  await phone.update(id, { title: "rum", description: "dark" });
  await laptop.sync();
  await laptop.update(id, { priority: "high" });
  await laptop.sync();
  await phone.sync();
  const [task] = await onServer(user);
  assert.deepEqual([task?.title, task?.description, task?.priority], ["rum", "dark", "high"]);
  assert.deepEqual([phone.conflicts, phone.tasks], [[], [task]]);
});

test("an update that others overtook after its response was lost is a conflict", async () => {
  const { phone, laptop, id } = await pair();
  await phone.update(id, { title: "tea" });
  proxy.next = ["none", "lose"];
  await assert.rejects(phone.sync());
  await phone.update(id, { title: "rum" });
  await laptop.sync();
  await laptop.update(id, { title: "gin" });
  await laptop.sync();
  await phone.sync();
  assert.deepEqual(phone.conflicts.map(({ mine, theirs }) => [mine?.title, theirs?.title]), [["rum", "gin"]]);
});

test("the response to a create does not bring back what was deleted meanwhile", async () => {
  const user = newUser();
  const copy = copyOf(user);
  const { id } = await copy.create({ title: "milk" });
  proxy.onResponse = async (path) => {
    if (path.endsWith("/batch")) await clientOf(user).DELETE("/api/tasks/{id}", { params: { path: { id } } });
  };
  await copy.sync();
  proxy.onResponse = () => {};
  assert.deepEqual([copy.tasks, copy.deleted.length, copy.conflicts, copy.status.pending], [[], 1, [], 0]);
});

test("a change that is taken back before it was sent is none", async () => {
  const { phone, id } = await pair();
  const before = phone.get(id);
  await phone.update(id, { title: "tea" });
  await phone.update(id, { title: "milk" });
  await phone.delete(id);
  await phone.restore(id);
  assert.deepEqual([phone.get(id), phone.status.pending], [before, 0]);
});

test("deletions and restorations whose responses are lost are repeated", async () => {
  const { user, phone, id } = await pair();
  await phone.delete(id);
  proxy.next = ["none", "lose"];
  await assert.rejects(phone.sync());
  await phone.sync();
  assert.deepEqual([await onServer(user), phone.tasks, phone.deleted.length, phone.status.pending], [[], [], 1, 0]);
  await phone.restore(id);
  await phone.update(id, { title: "tea" });
  proxy.next = ["none", "cut"];
  await assert.rejects(phone.sync());
  await phone.sync();
  assert.deepEqual(await onServer(user), phone.tasks);
  assert.equal(phone.tasks[0]?.title, "tea");
});

test("changes of different fields are merged", async () => {
  const { phone, laptop, id } = await pair();
  await phone.update(id, { title: "tea" });
  await laptop.update(id, { priority: "high" });
  await phone.sync();
  await laptop.sync();
  await phone.sync();
  assert.deepEqual(phone.tasks, laptop.tasks);
  assert.deepEqual([phone.tasks[0]?.title, phone.tasks[0]?.priority], ["tea", "high"]);
});

for (const [choice, title] of [["mine", "rum"], ["theirs", "tea"], [{ title: "gin" }, "gin"]] as const) {
  test(`a conflict has both versions, and ends with ${JSON.stringify(choice)}`, async () => {
    const { user, phone, laptop, id } = await pair();
    await phone.update(id, { title: "tea" });
    await phone.sync();
    await laptop.update(id, { title: "rum", description: "dark" });
    await laptop.sync();
    const [conflict] = laptop.conflicts;
    assert.deepEqual([conflict?.id, conflict?.mine?.title, conflict?.theirs?.title], [id, "rum", "tea"]);
    assert.equal(conflict?.problem.code, "precondition_failed");
    assert.equal(laptop.tasks[0]?.title, "rum");
    assert.equal(laptop.status.pending, 0);
    assert.equal((await onServer(user))[0]?.title, "tea");

    await laptop.resolve(id, choice);
    await laptop.sync();
    await phone.sync();
    assert.deepEqual([laptop.conflicts, phone.tasks, laptop.tasks], [[], laptop.tasks, await onServer(user)]);
    assert.equal(laptop.tasks[0]?.title, title);
  });
}

for (const choice of ["mine", "theirs"] as const) {
  test(`a task that was changed here and deleted there: ${choice}`, async () => {
    const { user, phone, laptop, id } = await pair();
    await phone.delete(id);
    await phone.sync();
    await laptop.update(id, { title: "tea" });
    await laptop.sync();
    const [conflict] = laptop.conflicts;
    assert.deepEqual([conflict?.mine?.title, conflict?.theirs], ["tea", null]);
    await laptop.resolve(id, choice);
    await laptop.sync();
    assert.deepEqual(laptop.tasks, await onServer(user));
    assert.deepEqual(laptop.tasks.map((task) => task.title), choice === "mine" ? ["tea"] : []);
  });

  test(`a task that was deleted here and changed there: ${choice}`, async () => {
    const { user, phone, laptop, id } = await pair();
    await phone.update(id, { title: "tea" });
    await phone.sync();
    await laptop.delete(id);
    await laptop.sync();
    const [conflict] = laptop.conflicts;
    assert.deepEqual([conflict?.mine, conflict?.theirs?.title], [null, "tea"]);
    await laptop.resolve(id, choice);
    await laptop.sync();
    assert.deepEqual(laptop.tasks, await onServer(user));
    assert.equal(laptop.tasks.length, choice === "mine" ? 0 : 1);
  });

  test(`a create with the id of a deleted task: ${choice}`, async () => {
    const { user, phone, id } = await pair();
    await phone.delete(id);
    await phone.sync();
    const other = copyOf(user);
    await other.create({ id, title: "tea" });
    await other.sync();
    const [conflict] = other.conflicts;
    assert.deepEqual([conflict?.mine?.title, conflict?.theirs, conflict?.problem.code], ["tea", null, "conflict"]);
    await other.resolve(id, choice);
    await other.sync();
    // What lay in the trash has other contents: the user has to decide about those too.
    assert.deepEqual(other.conflicts.map(({ theirs }) => theirs?.title), choice === "mine" ? ["milk"] : []);
    if (choice === "mine") await other.resolve(id, choice);
    await other.sync();
    assert.deepEqual(other.tasks, await onServer(user));
    assert.deepEqual(other.tasks.map(({ title }) => title), choice === "mine" ? ["tea"] : []);
  });
}

test("both delete: no conflict", async () => {
  const { phone, laptop, id } = await pair();
  await Promise.all([phone.delete(id), laptop.delete(id)]);
  await phone.sync();
  await laptop.sync();
  assert.deepEqual([laptop.conflicts, laptop.tasks, laptop.status.pending], [[], [], 0]);
});

test("what the server refuses waits for the app, and holds nothing else up", async () => {
  const user = newUser();
  const copy = copyOf(user);
  const { id } = await copy.create({ title: "a".repeat(201) });
  await copy.create({ title: "milk" });
  await copy.sync();
  const [conflict] = copy.conflicts;
  assert.deepEqual([conflict?.theirs, conflict?.problem.errors?.[0]?.pointer], [null, "/title"]);
  assert.deepEqual((await onServer(user)).map(({ title }) => title), ["milk"]);
  await copy.update(id, { title: "shorter" });
  await copy.sync();
  assert.deepEqual([copy.conflicts, await onServer(user)], [[], copy.tasks]);
  await copy.update(id, { title: "" });
  await copy.sync();
  await copy.resolve(id, "theirs");
  assert.equal(copy.get(id)?.title, "shorter");
});

test("what is refused can be deleted", async () => {
  const copy = copyOf(newUser());
  const { id } = await copy.create({ title: "" });
  await copy.sync();
  assert.equal(copy.conflicts.length, 1);
  await copy.delete(id);
  await copy.sync();
  assert.deepEqual([copy.tasks, copy.conflicts, copy.status.pending], [[], [], 0]);
});

const POISONS = [["no JSON to the server", "\ud800"], ["larger than a batch may be", "a".repeat(2 ** 20)]] as const;
for (const [kind, poison] of POISONS) {
  test(`an operation that is ${kind} does not hold up the others`, async () => {
    const user = newUser();
    const copy = copyOf(user);
    for (let number = 0; number < 5; number += 1) await copy.create({ title: `task ${number}` });
    const { id } = await copy.create({ title: "poison", description: poison });
    for (let number = 5; number < 10; number += 1) await copy.create({ title: `task ${number}` });
    await copy.sync();
    assert.deepEqual(copy.conflicts.map((conflict) => conflict.id), [id]);
    assert.equal((await onServer(user)).length, 10);
  });
}

test("more changes than a batch takes are sent, in the order of their creation", async () => {
  const user = newUser();
  const copy = copyOf(user);
  const titles = Array.from({ length: 250 }, (_, number) => `task ${number}`);
  for (const title of titles) await copy.create({ title });
  await copy.sync();
  const tasks = await onServer(user);
  assert.deepEqual(tasks.sort((a, b) => a.rev - b.rev).map(({ title }) => title), titles);
});

test("after a 410 the copy is replaced, and what waits is kept", async () => {
  const { user, phone, laptop, id } = await pair();
  const { id: edited } = await phone.create({ title: "tea" });
  await phone.sync();
  await laptop.sync();
  await clientOf(user).DELETE("/api/me");
  const { data: kept } = await clientOf(user).POST("/api/tasks", { body: { title: "rum" } });
  await laptop.create({ title: "gin" });
  await laptop.update(edited, { title: "green tea" });
  await laptop.sync();
  assert.equal(laptop.get(id), undefined);
  assert(laptop.get(kept!.id));
  assert.deepEqual(laptop.conflicts.map(({ mine, theirs }) => [mine?.title, theirs]), [["green tea", null]]);
  await laptop.resolve(edited, "mine");
  await laptop.sync();
  assert.deepEqual(laptop.tasks, await onServer(user));
  assert.deepEqual(laptop.tasks.map(({ title }) => title).sort(), ["gin", "green tea", "rum"]);
  await phone.sync();
  assert.deepEqual(phone.tasks, laptop.tasks);
});

test("a reload in the middle of a push loses nothing and repeats it as it was", async () => {
  const user = newUser();
  const storage = memoryStorage();
  const before = copyOf(user, storage);
  const { id } = await before.create({ title: "milk" });
  proxy.next = ["none", "lose"];
  await assert.rejects(before.sync());
  await before.update(id, { title: "tea" });

  const titles = titlesSent(proxy);
  const after = copyOf(user, storage);
  await after.sync();
  assert.deepEqual(titles, ["milk", "tea"]);
  assert.deepEqual(after.tasks, await onServer(user));
});

test("a started copy sends at once, retries, and pulls what others do", async () => {
  const { user, phone, laptop, id } = await pair();
  proxy.next = ["refuse", "none", "lose", "refuse"];
  await Promise.all([phone.start(), laptop.start()]);
  await phone.update(id, { title: "tea" });
  await until(() => laptop.get(id)?.title === "tea");
  await laptop.delete(id);
  await until(() => phone.deleted.length === 1);
  await Promise.all([phone.stop(), laptop.stop()]);
  await phone.restore(id);
  assert.deepEqual(await onServer(user), []);
});

test("starting twice and stopping in between leaves one loop", async () => {
  const copy = copyOf(newUser());
  void copy.start();
  void copy.stop();
  await copy.start();
  const requests = proxy.counts.none;
  await new Promise((resolve) => setTimeout(resolve, 700));
  await copy.stop();
  assert(proxy.counts.none - requests <= 10, `${proxy.counts.none - requests} requests in 700 ms`);
});

test("a started copy waits for as long as the service asks, also when there is more to send", async () => {
  const user = newUser();
  const attempts: number[] = [];
  const busy = () => Response.json({ detail: "busy" }, { status: 503, headers: { "Retry-After": "1" } });
  const client = createTasksClient({
    baseUrl: proxy.address,
    getToken: () => tokenOf(user),
    fetch: async (request) => {
      if (request.method === "POST") attempts.push(Date.now());
      return attempts.length === 1 && request.method === "POST" ? busy() : fetch(request);
    },
  });
  const copy = new TaskSync({ client, userId: user, interval: 50, retryDelay: 10 });
  await copy.start();
  await copy.create({ title: "milk" });
  await until(() => copy.status.error?.message === "busy");
  await copy.create({ title: "tea" });
  await until(() => copy.status.pending === 0);
  await copy.stop();
  assert(attempts[1]! - attempts[0]! >= 990);
  assert.deepEqual(await onServer(user), copy.tasks);
});

test("a token that the service refuses signs out, and what waits is sent after the next start", async () => {
  const user = newUser();
  let signedIn = false;
  const good = clientOf(user, proxy.address);
  const bad = clientOf("", proxy.address);
  const client = new Proxy(good, { get: (_, name: keyof typeof good) => (signedIn ? good : bad)[name] });
  const copy = new TaskSync({ client, userId: user, interval: 50, retryDelay: 10 });
  await copy.start();
  await copy.create({ title: "milk" });
  await until(() => copy.status.signedOut);
  assert(copy.status.error instanceof RefusedError);
  assert.equal(copy.status.pending, 1);
  signedIn = true;
  await copy.start();
  await until(() => copy.status.pending === 0);
  assert.deepEqual(await onServer(user), copy.tasks);
  await copy.stop();
});

test("tasks are not sent with another user's token", async () => {
  const [user, other] = [newUser(), newUser()];
  const copy = new TaskSync({ client: clientOf(other), userId: user });
  await copy.create({ title: "milk" });
  await assert.rejects(copy.sync(), RefusedError);
  assert.deepEqual([copy.status.signedOut, copy.status.pending, await onServer(other)], [true, 1, []]);
});
