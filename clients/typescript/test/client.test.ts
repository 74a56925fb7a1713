/** The client's renewal of tokens and its retries, with responses by the test. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTasksClient } from "tasks-api-client";

function answer(status: number, headers: Record<string, string> = {}): Response {
  return Response.json(status < 400 ? [] : { code: "…", detail: "…" }, { status, headers });
}

/** A client whose requests get these responses, one after the other. */
function clientWith(...responses: Response[]) {
  const seen: { authorization: string | null; body: string; at: number }[] = [];
  const asked: boolean[] = [];
  const client = createTasksClient({
    baseUrl: "http://localhost",
    getToken: ({ renew }) => (asked.push(renew), renew ? "new" : "old"),
    fetch: async (request) => {
      request.signal.throwIfAborted();
      seen.push({ authorization: request.headers.get("Authorization"), body: await request.text(), at: Date.now() });
      return responses.shift()!;
    },
  });
  return { client, seen, asked };
}

test("a 401 renews the token once, and the request is repeated with its body", async () => {
  const { client, seen, asked } = clientWith(answer(401), answer(201));
  const { response } = await client.POST("/api/tasks", { body: { title: "milk" } });
  assert.equal(response.status, 201);
  assert.deepEqual(asked, [false, true]);
  assert.deepEqual(seen.map(({ authorization }) => authorization), ["Bearer old", "Bearer new"]);
  assert.deepEqual(seen.map(({ body }) => body), ['{"title":"milk"}', '{"title":"milk"}']);
});

test("a second 401 is the answer", async () => {
  const { client, asked } = clientWith(answer(401), answer(401));
  assert.equal((await client.GET("/api/tasks")).response.status, 401);
  assert.deepEqual(asked, [false, true]);
});

test("requests that are refused at the same time share one renewal", async () => {
  const { client, asked } = clientWith(answer(401), answer(401), answer(200), answer(200));
  await Promise.all([client.GET("/api/tasks"), client.GET("/api/tasks")]);
  assert.deepEqual(asked, [false, false, true]);
});

test("Retry-After is honoured, in seconds and as a date", async () => {
  const date = new Date(Date.now() + 2000).toUTCString();
  const refusals = [answer(429, { "Retry-After": "1" }), answer(503, { "Retry-After": date })];
  const { client, seen } = clientWith(...refusals, answer(200));
  assert.equal((await client.GET("/api/tasks")).response.status, 200);
  assert(seen[1]!.at - seen[0]!.at >= 990);
  assert(seen[2]!.at >= Date.parse(date) - 10);
});

test("retries are bounded", async () => {
  const { client, seen } = clientWith(...Array.from({ length: 5 }, () => answer(429, { "Retry-After": "0" })));
  assert.equal((await client.GET("/api/tasks")).response.status, 429);
  assert.equal(seen.length, 3);
});

test("a create that may have been done is not repeated", async () => {
  const { client, seen } = clientWith(answer(503, { "Retry-After": "0" }), answer(201));
  assert.equal((await client.POST("/api/tasks", { body: { title: "milk" } })).response.status, 503);
  assert.equal(seen.length, 1);
});

for (const [reason, headers] of [["is missing", {}], ["is too long", { "Retry-After": "3600" }]] as const) {
  test(`a 429 is the answer where Retry-After ${reason}`, async () => {
    const { client, seen } = clientWith(answer(429, headers));
    assert.equal((await client.GET("/api/tasks")).response.status, 429);
    assert.equal(seen.length, 1);
  });
}

test("an abort ends the wait", async () => {
  const { client, seen } = clientWith(answer(429, { "Retry-After": "20" }));
  const signal = AbortSignal.timeout(50);
  await assert.rejects(client.GET("/api/tasks", { signal }), { name: "TimeoutError" });
  assert.equal(seen.length, 1);
});

test("without a token there is no Authorization", async () => {
  const seen: (string | null)[] = [];
  const fetch = async (request: Request) => (seen.push(request.headers.get("Authorization")), answer(200));
  await createTasksClient({ baseUrl: "http://localhost", getToken: () => null, fetch }).GET("/api/tasks");
  assert.deepEqual(seen, [null]);
});
