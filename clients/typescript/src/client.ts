import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";

export type TasksClient = Client<paths>;

export interface TasksClientOptions {
  /** The address of the service, without a path. */
  baseUrl: string;
  /** The user's token; null when nobody is signed in. After a 401 it is asked for a new one with `renew`. */
  getToken: (options: { renew: boolean }) => string | null | Promise<string | null>;
  fetch?: (request: Request) => Promise<Response>;
}

const MAX_RETRIES = 2;
// A longer `Retry-After` is left to the caller, who can tell the user.
const MAX_WAIT = 30;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** A client with the types of the service, which renews the token once on a 401 and honours `Retry-After`. */
export function createTasksClient(options: TasksClientOptions): TasksClient {
  const { baseUrl, getToken, fetch = (request) => globalThis.fetch(request) } = options;
  let renewal: Promise<string | null> | undefined;

  // Requests that are refused at the same time share one renewal.
  function renewToken(): Promise<string | null> {
    renewal ??= Promise.resolve(getToken({ renew: true })).finally(() => (renewal = undefined));
    return renewal;
  }

  async function send(request: Request): Promise<Response> {
    let token = await getToken({ renew: false });
    let renewed = false;
    for (let retries = 0; ; ) {
      const attempt = request.clone();
      if (token) attempt.headers.set("Authorization", `Bearer ${token}`);
      const response = await fetch(attempt);
      const wait = secondsToWait(request, response);
      if (response.status === 401 && !renewed) {
        renewed = true;
        token = await renewToken();
      } else if (wait <= MAX_WAIT && retries < MAX_RETRIES) {
        retries += 1;
        await sleep(wait * 1000, request.signal);
      } else {
        return response;
      }
      await response.body?.cancel();
    }
  }

  return createClient<paths>({ baseUrl, fetch: send });
}

/** The seconds of `Retry-After`, a number or a date; undefined without one. */
export function retryAfter(response: Response): number | undefined {
  const header = response.headers.get("Retry-After");
  if (!header) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

function secondsToWait(request: Request, response: Response): number {
  // A 503 can come after the write was done, a 429 cannot.
  const safe = response.status === 429 || (response.status === 503 && IDEMPOTENT.has(request.method));
  return (safe ? retryAfter(response) : undefined) ?? Infinity;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
