import { retryAfter, type TasksClient } from "./client.js";
import { confirmed, gone, newRow, nextStep, put, received, type Step } from "./rows.js";
import type { TaskStorage } from "./storage.js";
import type { Problem, Result, Task } from "./types.js";

/** The service refused a request; the message is a sentence to show. */
export class RefusedError extends Error {
  constructor(readonly problem: Problem, readonly retryAfter = 0) { super(problem.detail); }
}

type Access = TaskStorage["access"];
type Request<Data> = (signal: AbortSignal) => Promise<{ data?: Data; error?: unknown; response: Response }>;
const BATCH = 100;
const PAGE = 1000;
const TIMEOUT = 30_000;

/** Push what waits, and pull. */
export async function exchange(client: TasksClient, userId: string, access: Access, stop: AbortSignal): Promise<void> {
  const me = await call((signal) => client.GET("/api/me", { signal }));
  // Another tab may have signed in somebody else, who must not get these tasks.
  if (me!.id !== userId) throw new RefusedError({ status: 403, code: "forbidden", detail: "You are not signed in." });
  for (let pulled = false; ; pulled = true) {
    const steps = await takeSteps();
    if (pulled && !steps.length) return;
    const results = steps.length ? await push(steps) : [];
    // What others wrote, which the pull brings, explains a 404 or 412.
    await pull();
    await access(steps.map(({ id }) => id), ({ rows }) => {
      for (const [index, { id, outcome }] of steps.entries()) {
        put(rows, confirmed(rows.get(id) ?? newRow(id), outcome, results[index]!));
      }
    });
  }

  /** Store the next operations as sent, so that they are repeated as they are if the response is lost. */
  async function takeSteps(): Promise<Step[]> {
    const steps: Step[] = [];
    await access(null, ({ rows }) => {
      const waiting = [...rows.values()].flatMap((row) => nextStep(row) ?? []);
      waiting.sort((a, b) => a.outcome.created_at.localeCompare(b.outcome.created_at));
      steps.push(...waiting.slice(0, BATCH));
      for (const { id, outcome } of steps) rows.set(id, { ...rows.get(id)!, sent: outcome });
    });
    return steps;
  }

  async function push(steps: Step[]): Promise<Result[]> {
    const body = { operations: steps.map(({ operation }) => operation) };
    try {
      return (await call((signal) => client.POST("/api/tasks/batch", { body, signal })))!.results;
    } catch (error) {
      if (!(error instanceof RefusedError) || ![400, 413, 422].includes(error.problem.status)) throw error;
      if (steps.length === 1) return [{ status: error.problem.status, problem: error.problem }];
      // One operation, a huge one for example, spoils the batch: separate it from the others.
      const half = Math.ceil(steps.length / 2);
      return [...(await push(steps.slice(0, half))), ...(await push(steps.slice(half)))];
    }
  }

  async function pull(): Promise<void> {
    const news = new Map<string, { rev: number; task: Task | null }>();
    let { since } = await access([]);
    let expired = false;
    for (let more = true; more; ) {
      const params = { query: { since, limit: PAGE } };
      const page = await call((signal) => client.GET("/api/tasks/changes", { params, signal }));
      for (const task of page?.tasks ?? []) news.set(task.id, { rev: task.rev, task });
      for (const { id, rev } of page?.deleted ?? []) news.set(id, { rev, task: null });
      if (!page && expired) throw new Error("The service refuses to list all tasks.");
      expired ||= !page;
      ({ rev: since, more } = page ?? { rev: 0, more: true });
    }
    await access(expired ? null : [...news.keys()], (copy) => {
      for (const row of expired ? [...copy.rows.values()] : []) {
        put(copy.rows, news.get(row.id)?.task ? { ...row, rev: 0 } : gone(row));
      }
      for (const [id, { rev, task }] of news) put(copy.rows, received(copy.rows.get(id) ?? newRow(id), rev, task));
      copy.since = since;
    });
  }

  /** The data of a response; undefined if the changes feed does not reach back to `since` (410). */
  async function call<Data>(request: Request<Data>): Promise<Data | undefined> {
    const { data, error, response } = await request(AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT)]));
    const { ok, status } = response;
    if (ok || status === 410) return data;
    // A proxy may answer with something other than problem details.
    const problem = { status, code: "bad_request", detail: `The service answered with status ${status}.` } as const;
    throw new RefusedError({ ...problem, ...(typeof error === "object" && error) }, retryAfter(response));
  }
}
