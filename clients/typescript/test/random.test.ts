/**
 * Three clients of one user do 1,000 random things at once, through a proxy that loses, cuts and delays at random.
 * SEED repeats a run's operations and faults, OPERATIONS changes their number.
 */
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { indexedDBStorage, memoryStorage, TaskSync, type Task, type TaskChanges } from "tasks-api-client";
import { clientOf, newUser, startProxy, until, type Fault } from "./support.js";

const { SEED = randomInt(2 ** 31), OPERATIONS = 1000 } = process.env;
const FAULTS: [Fault, number][] = [["none", 0.6], ["lose", 0.12], ["cut", 0.08], ["refuse", 0.08], ["delay", 0.12]];
const DISTINCT = ["title", "description"] as const;

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`${OPERATIONS} random operations with seed ${SEED}`, { timeout: 300_000 }, async (t) => {
  const random = generator(Number(SEED));
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  const user = newUser();
  const proxy = await startProxy();
  const faults = generator(Number(SEED) + 1);
  proxy.fault = () => {
    let rest = faults();
    return FAULTS.find(([, share]) => (rest -= share) < 0)?.[0] ?? "none";
  };
  const client = clientOf(user, proxy.address);
  const storages = [memoryStorage(), memoryStorage(), indexedDBStorage(user)];
  const open = (storage = storages[0]!) => new TaskSync({ client, userId: user, storage, interval: 50, retryDelay: 5 });
  const copies = storages.map(open);
  await Promise.all(copies.map((copy) => copy.start()));

  const created = new Set<string>();
  const writes: { id: string; text: string }[] = []; // what the server wrote; no two operations have the same text
  const wishes = new Map<string, string>(); // the last text that a client gave a field
  const chosen = new Map<string, number>(); // how often a task's conflict ended with "mine"
  const counts: Record<string, number> = {};
  proxy.onResponse = (path, status, sent, received) => {
    if (!path.endsWith("/batch") || status !== 200) return;
    const { results } = JSON.parse(received);
    for (const [index, { op, task }] of JSON.parse(sent).operations.entries()) {
      if (results[index].status !== (op === "create" ? 201 : 200)) continue;
      for (const field of DISTINCT) if (task?.[field]) writes.push({ id: results[index].task.id, text: task[field] });
    }
  };

  async function act(number: number): Promise<void> {
    const place = Math.floor(random() * copies.length);
    const copy = copies[place]!;
    const text = `${place}-${number}`;
    const wish = (id: string, field: string) => wishes.set(`${place} ${id} ${field}`, text);
    const task = pick(copy.tasks);
    const kind = random();
    if (kind < 0.25 || !task) {
      const { id } = await copy.create({ title: text });
      created.add(id);
      wish(id, "title");
      count("create");
    } else if (kind < 0.55) {
      const field = pick(DISTINCT)!;
      wish(task.id, field);
      await copy.update(task.id, { [field]: text });
      count("update");
    } else if (kind < 0.75) {
      const completed = !task.completed;
      await copy.update(task.id, pick<TaskChanges>([{ completed }, { tags: [text] }, { position: text }])!);
      count("update");
    } else if (kind < 0.85) {
      await copy.delete(task.id);
      count("delete");
    } else if (kind < 0.93) {
      const deleted = pick(copy.deleted);
      if (deleted) await copy.restore(deleted.id);
      count("restore");
    } else if (kind < 0.98) {
      await resolve(place);
    } else {
      // Reload: what was in memory is gone, what was stored is not.
      await copy.stop();
      copies[place] = open(storages[place]);
      await copies[place].start();
      count("reload");
    }
  }

  async function resolve(place: number): Promise<void> {
    const conflict = pick(copies[place]!.conflicts);
    if (!conflict) return;
    const { id } = conflict;
    const choice = pick(["mine", "theirs"] as const)!;
    if (choice === "mine") chosen.set(id, (chosen.get(id) ?? 0) + 1);
    else for (const field of DISTINCT) wishes.delete(`${place} ${id} ${field}`);
    await copies[place]!.resolve(id, choice);
    count(`resolve ${choice}`);
  }

  function count(what: string): void {
    counts[what] = (counts[what] ?? 0) + 1;
  }

  for (let number = 0; number < Number(OPERATIONS); number += 1) {
    await act(number);
    await sleep(random() * 10);
  }
  await until(async () => {
    for (const place of copies.keys()) await resolve(place);
    return copies.every(({ status, conflicts }) => !status.pending && !conflicts.length);
  });
  proxy.fault = () => "none";
  for (const copy of copies) await copy.sync();
  await Promise.all(copies.map((copy) => copy.stop()));
  t.diagnostic(`operations ${JSON.stringify(counts)}`);
  t.diagnostic(`responses by fault ${JSON.stringify(proxy.counts)}`);

  const [live, trash] = [await everything(user, false), await everything(user, true)];
  for (const copy of copies) {
    for (const { id } of [...live, ...copy.tasks]) {
      const task = live.find((each) => each.id === id);
      assert.deepEqual(copy.get(id), task && { ...task, deleted: false });
    }
    // What a client deleted before it sent it is nowhere else.
    for (const { id, rev } of copy.deleted) {
      assert(trash.some((task) => task.id === id) || (!rev && created.delete(id)), id);
    }
  }
  assert.deepEqual(new Set([...live, ...trash].map(({ id }) => id)), created);
  for (const { id, text } of writes) {
    const times = writes.filter((write) => write.text === text).length;
    assert(times <= 1 + (chosen.get(id) ?? 0), `${text} was written ${times} times`);
  }
  for (const [wish, wanted] of wishes) {
    const lost = !writes.some(({ text }) => text === wanted) && live.some(({ id }) => wish.includes(id));
    assert(!lost, `${wish} never became ${wanted}`);
  }
});

async function everything(user: string, deleted: boolean): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let cursor: string | undefined; ; ) {
    const query = { limit: 500, ...(deleted && { deleted }), ...(cursor && { cursor }) };
    const { data, response } = await clientOf(user).GET("/api/tasks", { params: { query } });
    tasks.push(...data!);
    cursor = /[?&]cursor=([^&>]+)/.exec(response.headers.get("Link") ?? "")?.[1];
    if (!cursor) return tasks;
    cursor = decodeURIComponent(cursor);
  }
}
