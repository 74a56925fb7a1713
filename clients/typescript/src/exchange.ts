import { retryAfter, type TasksClient } from "./client.js";
import type { LocalCopy } from "./local.js";
import * as rows from "./rows.js";
import { put, type Copy } from "./storage.js";
import type { Changes, Operation, Problem, Result, Task } from "./types.js";

/** The service refused a request; the message is a sentence to show. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";

  constructor(
    readonly problem: Problem,
    readonly retryAfter = 0,
  ) {
    super(problem.detail);
  }
}

/** What openapi-fetch returns. */
interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

interface Sent {
  id: string;
  seq: number;
  result: Result;
}

const BATCH = 100;
const TIMEOUT = 30_000;
const INVALID = new Set([400, 413, 422]);

/** Brings the local copy and the server together. */
export class Exchange {
  readonly #client: TasksClient;
  readonly #copy: LocalCopy;
  readonly #userId: string;
  readonly #onReach: (online: boolean) => void;
  #batchSize = BATCH;

  constructor(client: TasksClient, copy: LocalCopy, userId: string, onReach: (online: boolean) => void) {
    this.#client = client;
    this.#copy = copy;
    this.#userId = userId;
    this.#onReach = onReach;
  }

  /** Push everything and pull. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#checkUser(signal);
    do {
      const sent = await this.#push(signal);
      // A 412 or 404 is judged by what others wrote, which the pull brings.
      const late = sent.filter(({ result }) => result.status === 412 || result.status === 404);
      await this.#confirm(sent.filter((each) => !late.includes(each)));
      await this.#pull(signal);
      await this.#confirm(late);
    } while (this.#copy.ready().length);
  }

  /** Never push one user's tasks with another one's token, which a sign-in in another tab may have set. */
  async #checkUser(stop: AbortSignal): Promise<void> {
    const { id } = await this.#call(stop, (signal) => this.#client.GET("/api/me", { signal }));
    if (id === this.#userId) return;
    throw new RefusedError({ status: 403, code: "forbidden", detail: "Somebody else is signed in." });
  }

  /** Send the first change of each task, for up to a hundred tasks. */
  async #push(stop: AbortSignal): Promise<Sent[]> {
    const ids = this.#copy.ready().slice(0, this.#batchSize).map(({ id }) => id);
    if (!ids.length) return [];
    // Stored before it is sent, so that a reload does not change what may have arrived.
    const copy = await this.#copy.change(ids, (stored) => {
      for (const row of waiting(stored, ids)) put(stored, { ...row, sent: true });
    });
    const sent = waiting(copy, ids);
    const results = await this.#send(sent.map(rows.operation), stop);
    return results.map((result, index) => ({ id: sent[index]!.id, seq: sent[index]!.queue[0]!.seq, result }));
  }

  async #send(operations: Operation[], stop: AbortSignal): Promise<Result[]> {
    if (!operations.length) return [];
    try {
      const body = { operations, atomic: false };
      const send = (signal: AbortSignal) => this.#client.POST("/api/tasks/batch", { body, signal });
      const { results } = await this.#call(stop, send);
      this.#batchSize = BATCH;
      return results;
    } catch (error) {
      if (!(error instanceof RefusedError) || !INVALID.has(error.problem.status)) throw error;
      // One operation spoils the batch: halve it until that one is alone.
      this.#batchSize = operations.length > 1 ? Math.ceil(operations.length / 2) : BATCH;
      return operations.length > 1 ? [] : [{ status: error.problem.status, problem: error.problem }];
    }
  }

  async #confirm(sent: readonly Sent[]): Promise<void> {
    if (!sent.length) return;
    const ids = sent.map(({ id }) => id);
    await this.#copy.change(ids, (stored) => {
      for (const { id, seq, result } of sent) {
        const row = stored.rows.get(id);
        if (row) put(stored, rows.confirm(row, seq, result));
      }
    });
  }

  async #pull(stop: AbortSignal): Promise<void> {
    for (let more = true; more; ) {
      const since = await this.#copy.since();
      let page: Changes;
      try {
        page = await this.#changes(since, stop);
      } catch (error) {
        if (error instanceof RefusedError && error.problem.status === 410) return this.#replace(stop);
        throw error;
      }
      more = page.more;
      const { tasks, deleted, rev } = page;
      if (rev === since && !tasks.length && !deleted.length) return;
      const ids = [...tasks, ...deleted].map(({ id }) => id);
      await this.#copy.change(ids, (stored) => {
        for (const task of tasks) put(stored, rows.receive(stored.rows.get(task.id) ?? rows.newRow(task.id), task));
        for (const { id, rev } of deleted) {
          const row = stored.rows.get(id);
          if (row) put(stored, rows.receiveDeletion(row, rev));
        }
        stored.since = rev;
      });
    }
  }

  /** Replace everything that came from the server. */
  async #replace(stop: AbortSignal): Promise<void> {
    const tasks = new Map<string, Task>();
    let since = 0;
    for (let more = true; more; ) {
      const page = await this.#changes(since, stop);
      for (const task of page.tasks) tasks.set(task.id, task);
      for (const { id } of page.deleted) tasks.delete(id);
      ({ rev: since, more } = page);
    }
    await this.#copy.change(undefined, (stored) => {
      for (const id of new Set([...stored.rows.keys(), ...tasks.keys()])) {
        put(stored, rows.replace(stored.rows.get(id) ?? rows.newRow(id), tasks.get(id) ?? null));
      }
      stored.since = since;
    });
  }

  #changes(since: number, stop: AbortSignal): Promise<Changes> {
    const params = { query: { since, limit: 1000 } };
    return this.#call(stop, (signal) => this.#client.GET("/api/tasks/changes", { params, signal }));
  }

  async #call<Data>(stop: AbortSignal, send: (signal: AbortSignal) => Promise<Answer<Data>>): Promise<Data> {
    let answer: Answer<Data>;
    try {
      answer = await send(AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT)]));
    } catch (error) {
      if (!stop.aborted) this.#onReach(false);
      throw error;
    }
    this.#onReach(true);
    if (answer.response.ok) return answer.data!;
    throw new RefusedError(problemOf(answer), retryAfter(answer.response));
  }
}

function waiting({ rows: stored }: Copy, ids: readonly string[]): rows.Row[] {
  return ids.flatMap((id) => stored.get(id) ?? []).filter(rows.isReady);
}

/** A proxy in between may answer with something else than problem details. */
function problemOf({ error, response: { status } }: Answer<unknown>): Problem {
  if (typeof error === "object" && error && "detail" in error) return error as Problem;
  return { status, code: "bad_request", detail: `The service answered with status ${status}.` };
}
