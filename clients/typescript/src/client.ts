import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";

export type TasksClient = Client<paths>;
type Token = string | null | Promise<string | null>;
export interface TasksClientOptions {
  baseUrl: string; // the address of the service, without a path
  getToken: (options: { renew: boolean }) => Token; // `renew`: the service refused the last one; null: signed out
  fetch?: (request: Request) => Promise<Response>;
}

const MAX_RETRIES = 2;
const MAX_WAIT = 30; // seconds; a longer `Retry-After` is left to the caller
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];

/** A client with the service's types, which renews the token once on a 401 and honours `Retry-After`. */
export function createTasksClient({ baseUrl, getToken, fetch = globalThis.fetch }: TasksClientOptions): TasksClient {
  let renewal: Token | undefined; // shared by requests that are refused at the same time
  const renew = () => (renewal ??= Promise.resolve(getToken({ renew: true })).finally(() => (renewal = undefined)));

  async function send(request: Request, token: string | null, renewed = false, retries = 0): Promise<Response> {
    const attempt = request.clone();
    if (token) attempt.headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(attempt);
    const mayRenew = response.status === 401 && !renewed;
    if (!mayRenew && (retries === MAX_RETRIES || !mayRetry(request, response))) return response;
    await response.body?.cancel();
    if (mayRenew) return send(request, await renew(), true, retries);
    await sleep(retryAfter(response), request.signal);
    return send(request, token, renewed, retries + 1);
  }
  return createClient<paths>({ baseUrl, fetch: async (request) => send(request, await getToken({ renew: false })) });
}

/** The seconds in `Retry-After`, a number or a date; 0 without one. */
export function retryAfter({ headers }: Response): number {
  const value = headers.get("Retry-After") ?? "";
  return Math.max(0, Number(value) || (Date.parse(value) - Date.now()) / 1000 || 0);
}

function mayRetry({ method }: Request, response: Response): boolean {
  // A 503 may come after the write was done, a 429 does not.
  const safe = response.status === 429 || (response.status === 503 && IDEMPOTENT.includes(method));
  return safe && response.headers.has("Retry-After") && retryAfter(response) <= MAX_WAIT;
}

const sleep = (seconds: number, signal: AbortSignal) => new Promise<void>((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)));
});
