/**
 * The life of a task on each of the three mounts: `node generated/life-of-a-task.js <address> <token>`.
 * Exits at the first unexpected response.
 */
import assert from "node:assert/strict";
import { generateKeyBetween } from "fractional-indexing";
import { createTasksClient, type components } from "tasks-api-client";

type Schemas = components["schemas"];
type Problem = Schemas["Problem"];

const [address = "http://127.0.0.1:8000", token = ""] = process.argv.slice(2);

const client = createTasksClient({ baseUrl: address, getToken: () => token });

const me = got("the user", 200, await client.GET("/api/me"));
for (const live of [lifeOnV1, lifeOnApi, lifeOnUser]) await live(me.id);
await plans();
await strangers(me.id);

async function lifeOnV1(): Promise<void> {
  console.log("/v1/tasks");
  const { rev: since } = got("rev before the first write", 200, await client.GET("/api/me"));

  const body: Schemas["V1NewTask"] = { id: crypto.randomUUID(), title: "Buy milk", details: "Two litres" };
  const { task } = got("create with your own id", 201, await client.POST("/v1/tasks", { body }));
  const again = got("repeat the create", 200, await client.POST("/v1/tasks", { body }));
  assert.deepEqual(again.task, task);
  const other = await client.POST("/v1/tasks", { body: { title: "Buy tea" } });
  const { task: tea } = got("create another", 201, other);
  assert.equal(tea.details, null);

  const first = got("the first page", 200, await client.GET("/v1/tasks", { params: { query: { limit: 1 } } }));
  assert.deepEqual(first.tasks, [tea]);
  const cursor = first.next_cursor;
  assert(cursor);
  const second = await client.GET("/v1/tasks", { params: { query: { limit: 1, cursor } } });
  assert.deepEqual(got("the second page", 200, second).tasks, [task]);

  const path = { id: task.id };
  const read = await client.GET("/v1/tasks/{id}", { params: { path } });
  assert.deepEqual(got("get", 200, read).task, task);
  const seen = tagOf(read);
  const unread = await client.GET("/v1/tasks/{id}", { params: { path, header: { "If-None-Match": seen } } });
  empty("get, if it is new", 304, unread);

  const header = { "If-Match": seen };
  const patch = await client.PATCH("/v1/tasks/{id}", { params: { path, header }, body: { details: null } });
  const { task: patched } = got("update with If-Match", 200, patch);
  assert.deepEqual([patched.title, patched.details], ["Buy milk", null]);
  const late = await client.PATCH("/v1/tasks/{id}", { params: { path, header }, body: { title: "Buy rum" } });
  refused("change what was seen before that", 412, "precondition_failed", late);
  assert.equal(tagOf(late), tagOf(patch));
  assert.equal(await rename(task.id, seen, "Buy rum"), "Somebody was faster: load it again.");
  assert.equal(await rename(task.id, tagOf(late), ""), "/title must not be empty.");
  assert.equal(await rename(task.id, tagOf(late), "Buy oat milk"), "It is called Buy oat milk now.");

  const toggled = await client.POST("/v1/tasks/{id}/toggle", { params: { path } });
  assert.equal(got("toggle", 200, toggled).task.completed, true);

  const wrong = await client.PATCH("/v1/tasks/{id}", { params: { path }, body: { title: "" } });
  const problem = refused("an empty title", 422, "validation_error", wrong);
  assert.deepEqual(problem.errors?.map(({ pointer, code }) => [pointer, code]), [["/title", "required"]]);
  assert.equal(problem.error.details?.[0]?.pointer, "/title");

  empty("delete", 204, await client.DELETE("/v1/tasks/{id}", { params: { path } }));
  empty("delete the other", 204, await client.DELETE("/v1/tasks/{id}", { params: { path: { id: tea.id } } }));
  refused("get", 404, "not_found", await client.GET("/v1/tasks/{id}", { params: { path } }));
  const trash = await client.GET("/v1/tasks", { params: { query: { deleted: true, limit: 2 } } });
  assert.deepEqual(ids(got("the trash", 200, trash).tasks), [tea.id, task.id]);
  const restored = await client.POST("/v1/tasks/{id}/restore", { params: { path } });
  assert.equal(got("restore", 200, restored).task.title, "Buy oat milk");

  const changes = got("changes", 200, await client.GET("/v1/tasks/changes", { params: { query: { since } } }));
  assert.deepEqual([ids(changes.tasks), ids(changes.deleted), changes.more], [[task.id], [tea.id], false]);
  empty("delete again", 204, await client.DELETE("/v1/tasks/{id}", { params: { path } }));
}

/** Change the title of a task unless it has changed since `tag`; returns a message to show. */
async function rename(id: string, tag: string, title: string): Promise<string> {
  const params = { path: { id }, header: { "If-Match": tag } };
  const { data, error } = await client.PATCH("/v1/tasks/{id}", { params, body: { title } });
  if (data) return `It is called ${data.task.title} now.`;
  switch (error.code) {
    case "precondition_failed":
      return "Somebody was faster: load it again.";
    case "validation_error":
      return (error.errors ?? []).map(({ pointer, detail }) => `${pointer} ${detail}`).join("\n");
    default:
      return error.detail;
  }
}

async function lifeOnApi(): Promise<void> {
  console.log("/api/tasks");
  const { rev: since } = got("rev before the first write", 200, await client.GET("/api/me"));

  const body: Schemas["ApiNewTask"] = { id: crypto.randomUUID(), title: "Buy milk", description: "Two litres" };
  const task = got("create with your own id", 201, await client.POST("/api/tasks", { body }));
  const again = got("repeat the create", 200, await client.POST("/api/tasks", { body }));
  assert.deepEqual(again, task);
  const tea = got("create another", 201, await client.POST("/api/tasks", { body: { title: "Buy tea" } }));
  assert.equal(tea.description, null);

  const first = await client.GET("/api/tasks", { params: { query: { limit: 1 } } });
  assert.deepEqual(got("the first page", 200, first), [tea]);
  const cursor = nextCursor(first);
  const second = await client.GET("/api/tasks", { params: { query: { limit: 1, cursor } } });
  assert.deepEqual(got("the second page", 200, second), [task]);

  const path = { id: task.id };
  const read = await client.GET("/api/tasks/{id}", { params: { path } });
  assert.deepEqual(got("get", 200, read), task);
  const seen = tagOf(read);
  const unread = await client.GET("/api/tasks/{id}", { params: { path, header: { "If-None-Match": seen } } });
  empty("get, if it is new", 304, unread);

  const header = { "If-Match": seen };
  const patch = await client.PATCH("/api/tasks/{id}", { params: { path, header }, body: { description: null } });
  const patched = got("update with If-Match", 200, patch);
  assert.deepEqual([patched.title, patched.description], ["Buy milk", null]);
  const late = await client.PATCH("/api/tasks/{id}", { params: { path, header }, body: { title: "Buy rum" } });
  refused("change what was seen before that", 412, "precondition_failed", late);
  assert.equal(tagOf(late), tagOf(patch));

  const completion = { params: { path }, body: { completed: true } };
  const completed = await client.PATCH("/api/tasks/{id}/complete", completion);
  assert.equal(got("complete", 200, completed).completed, true);
  const flipped = await client.PATCH("/api/tasks/{id}/complete", { params: { path } });
  assert.equal(got("toggle", 200, flipped).completed, false);

  const wrong = await client.PATCH("/api/tasks/{id}", { params: { path }, body: { title: "" } });
  const problem = refused("an empty title", 400, "validation_error", wrong);
  assert.deepEqual(problem.errors?.map(({ pointer, code }) => [pointer, code]), [["/title", "required"]]);

  empty("delete", 204, await client.DELETE("/api/tasks/{id}", { params: { path } }));
  empty("delete the other", 204, await client.DELETE("/api/tasks/{id}", { params: { path: { id: tea.id } } }));
  refused("get", 404, "not_found", await client.GET("/api/tasks/{id}", { params: { path } }));
  const trash = await client.GET("/api/tasks", { params: { query: { deleted: true, limit: 2 } } });
  assert.deepEqual(ids(got("the trash", 200, trash)), [tea.id, task.id]);
  const restored = await client.POST("/api/tasks/{id}/restore", { params: { path } });
  assert.equal(got("restore", 200, restored).title, "Buy milk");

  const changes = got("changes", 200, await client.GET("/api/tasks/changes", { params: { query: { since } } }));
  assert.deepEqual([ids(changes.tasks), ids(changes.deleted), changes.more], [[task.id], [tea.id], false]);
  empty("delete again", 204, await client.DELETE("/api/tasks/{id}", { params: { path } }));
}

async function lifeOnUser(user_id: string): Promise<void> {
  console.log("/api/{user_id}/tasks");
  const { rev: since } = got("rev before the first write", 200, await client.GET("/api/me"));
  const all = { user_id };

  const body: Schemas["UserNewTask"] = { id: crypto.randomUUID(), title: "Buy milk", description: "Two litres" };
  const create = () => client.POST("/api/{user_id}/tasks", { params: { path: all }, body });
  const task = got("create with your own id", 201, await create());
  assert.equal(task.user_id, user_id);
  assert.deepEqual(got("repeat the create", 200, await create()), task);
  const other = { params: { path: all }, body: { title: "Buy tea" } };
  const tea = got("create another", 201, await client.POST("/api/{user_id}/tasks", other));
  assert.equal(tea.description, null);

  const first = await client.GET("/api/{user_id}/tasks", { params: { path: all, query: { limit: 1 } } });
  assert.deepEqual(got("the first page", 200, first), [tea]);
  const query = { limit: 1, cursor: nextCursor(first) };
  const second = await client.GET("/api/{user_id}/tasks", { params: { path: all, query } });
  assert.deepEqual(got("the second page", 200, second), [task]);

  const path = { user_id, id: task.id };
  const read = await client.GET("/api/{user_id}/tasks/{id}", { params: { path } });
  assert.deepEqual(got("get", 200, read), task);
  const seen = tagOf(read);
  const newer = { path, header: { "If-None-Match": seen } };
  empty("get, if it is new", 304, await client.GET("/api/{user_id}/tasks/{id}", { params: newer }));

  const params = { path, header: { "If-Match": seen } };
  const patch = await client.PATCH("/api/{user_id}/tasks/{id}", { params, body: { description: null } });
  const patched = got("update with If-Match", 200, patch);
  assert.deepEqual([patched.title, patched.description], ["Buy milk", null]);
  const late = await client.PATCH("/api/{user_id}/tasks/{id}", { params, body: { title: "Buy rum" } });
  refused("change what was seen before that", 412, "precondition_failed", late);
  assert.equal(tagOf(late), tagOf(patch));

  const completion = { params: { path }, body: { completed: true } };
  const completed = await client.PATCH("/api/{user_id}/tasks/{id}/complete", completion);
  assert.equal(got("complete", 200, completed).completed, true);
  const flipped = await client.PATCH("/api/{user_id}/tasks/{id}/complete", { params: { path } });
  assert.equal(got("toggle", 200, flipped).completed, false);

  const wrong = await client.PATCH("/api/{user_id}/tasks/{id}", { params: { path }, body: { title: "" } });
  const problem = refused("an empty title", 400, "validation_error", wrong);
  assert.deepEqual(problem.errors?.map(({ pointer, code }) => [pointer, code]), [["/title", "required"]]);

  empty("delete", 204, await client.DELETE("/api/{user_id}/tasks/{id}", { params: { path } }));
  const gone = { params: { path: { user_id, id: tea.id } } };
  empty("delete the other", 204, await client.DELETE("/api/{user_id}/tasks/{id}", gone));
  refused("get", 404, "not_found", await client.GET("/api/{user_id}/tasks/{id}", { params: { path } }));
  const deleted = { path: all, query: { deleted: true, limit: 2 } };
  const trash = got("the trash", 200, await client.GET("/api/{user_id}/tasks", { params: deleted }));
  assert.deepEqual(ids(trash), [tea.id, task.id]);
  const restored = await client.POST("/api/{user_id}/tasks/{id}/restore", { params: { path } });
  assert.equal(got("restore", 200, restored).title, "Buy milk");

  const news = await client.GET("/api/{user_id}/tasks/changes", { params: { path: all, query: { since } } });
  const changes = got("changes", 200, news);
  assert.deepEqual([ids(changes.tasks), ids(changes.deleted), changes.more], [[task.id], [tea.id], false]);
  empty("delete again", 204, await client.DELETE("/api/{user_id}/tasks/{id}", { params: { path } }));
}

async function plans(): Promise<void> {
  console.log("plans");
  const body: Schemas["ApiNewTask"] = { title: "Call", priority: "high", due_date: "2026-12-01", tags: ["home"] };
  const call = got("create with a plan", 201, await client.POST("/api/tasks", { body }));
  assert.deepEqual([call.priority, call.due_date, call.tags], ["high", "2026-12-01", ["home"]]);
  const filters = { status: "pending", search: "CALL", limit: 1 } as const;
  const found = await client.GET("/api/tasks", { params: { query: { ...filters, tag: ["home"], sort: "due_date" } } });
  assert.deepEqual(got("filter, search and sort", 200, found), [call]);

  const tasks = [call];
  for (const title of ["Mail", "Pay"]) {
    tasks.push(got("create another", 201, await client.POST("/api/tasks", { body: { title } })));
  }
  let last: Placed | null = null;
  for (const task of tasks) last = await move(task.id, last, null);
  const [first, second, third] = await byHand();
  await move(third!.id, first!, second!);
  assert.deepEqual(ids(await byHand()), ids([first!, third!, second!]));
  for (const { id } of tasks) empty("delete", 204, await client.DELETE("/api/tasks/{id}", { params: { path: { id } } }));
}

type Placed = Pick<Schemas["ApiTask"], "position">;

/** The change that moves a task between two others; null is the beginning or the end of the list. */
function moveBetween(before: Placed | null, after: Placed | null): { position: string } {
  return { position: generateKeyBetween(before?.position ?? null, after?.position ?? null) };
}

async function move(id: string, before: Placed | null, after: Placed | null): Promise<Schemas["ApiTask"]> {
  const params = { path: { id } };
  return got("move", 200, await client.PATCH("/api/tasks/{id}", { params, body: moveBetween(before, after) }));
}

async function byHand(): Promise<Schemas["ApiTask"][]> {
  return got("by hand", 200, await client.GET("/api/tasks", { params: { query: { sort: "position" } } }));
}

async function strangers(user_id: string): Promise<void> {
  console.log("who may not");
  const path = { user_id: `not ${user_id}` };
  const theirs = await client.GET("/api/{user_id}/tasks", { params: { path } });
  refused("another user's tasks", 403, "forbidden", theirs);
  const forger = createTasksClient({ baseUrl: address, getToken: () => "wrong" });
  refused("a wrong token on /v1/tasks", 401, "invalid_token", await forger.GET("/v1/tasks"));
  refused("a wrong token on /api/tasks", 401, "invalid_token", await forger.GET("/api/tasks"));
  const mine = { params: { path: { user_id } } };
  refused("a wrong token on one's own", 401, "invalid_token", await forger.GET("/api/{user_id}/tasks", mine));
  refused("a wrong token on /api/me", 401, "invalid_token", await forger.GET("/api/me"));
}

/** The data of an answer with that status. */
function got<Data>(step: string, status: number, answer: Answer<Data, Problem>): Data {
  said(step, status, answer);
  assert(answer.data !== undefined, `${step}: no data`);
  return answer.data;
}

/** The problem of an answer with that status and code. */
function refused<P extends Problem>(step: string, status: number, code: P["code"], answer: Answer<unknown, P>): P {
  said(`${step}: ${code}`, status, answer);
  assert(answer.error, `${step}: no error`);
  assert.deepEqual([answer.error.code, answer.error.status], [code, status]);
  return answer.error;
}

/** Nothing but a status: 204, or 304, which fetch does not call ok and openapi-fetch gives an empty error. */
function empty(step: string, status: 204 | 304, answer: Answer<unknown, Problem>): void {
  said(step, status, answer);
  assert(!answer.data && !answer.error, `${step}: a body`);
}

interface Answer<Data, Error> {
  data?: Data;
  error?: Error;
  response: Response;
}

function said(step: string, status: number, { response, error }: Answer<unknown, Problem>): void {
  assert.equal(response.status, status, `${step}: ${response.status} ${error?.detail ?? ""}`);
  console.log(`  ${status} ${step}`);
}

/** The version of what was read, to send as If-Match or If-None-Match. */
function tagOf({ response }: { response: Response }): string {
  const tag = response.headers.get("ETag");
  assert(tag, "no ETag");
  return tag;
}

/** What bare lists say in Link: the cursor of the next page. */
function nextCursor({ response }: { response: Response }): string {
  const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? "";
  const cursor = new URL(next, address).searchParams.get("cursor");
  assert(cursor, "no next page");
  return cursor;
}

function ids(tasks: readonly { id: string }[]): string[] {
  return tasks.map(({ id }) => id);
}
