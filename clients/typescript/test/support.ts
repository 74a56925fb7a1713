/** What the tests share: users with tokens, a proxy that does harm, and a wait with a bound. */
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer, request as send, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createTasksClient, type TasksClient } from "tasks-api-client";

const { TASKS_API = "http://127.0.0.1:8000", BETTER_AUTH_SECRET = "" } = process.env;

/** A user whom no other test knows. */
export function newUser(): string {
  return `test-${randomUUID()}`;
}

export function tokenOf(user: string): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "HS256" })}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${signed}.${createHmac("sha256", BETTER_AUTH_SECRET).update(signed).digest("base64url")}`;
}

export function clientOf(user: string, baseUrl = TASKS_API): TasksClient {
  return createTasksClient({ baseUrl, getToken: () => tokenOf(user) });
}

/** `refuse`: the server never hears of the request; `lose`: it does, but its response is lost; `cut`: in the middle. */
export type Fault = "none" | "refuse" | "lose" | "cut" | "delay";

export interface Proxy {
  address: string;
  /** The faults of the next requests, before those of `fault`. */
  next: Fault[];
  fault: () => Fault;
  counts: Record<Fault, number>;
  /** Called with each response of the server, before it is passed on. */
  onResponse: (path: string, status: number, sent: string, received: string) => void | Promise<void>;
}

/** A proxy in front of the service, which is closed after the tests of the file. */
export async function startProxy(): Promise<Proxy> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy()); // as if the service were stopped
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close().closeAllConnections());
  const proxy: Proxy = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: [],
    fault: () => "none",
    counts: { none: 0, refuse: 0, lose: 0, cut: 0, delay: 0 },
    onResponse: () => {},
  };
  return proxy;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = proxy.next.shift() ?? proxy.fault();
    proxy.counts[fault] += 1;
    const sent = await text(request);
    if (fault === "refuse") return void request.socket.destroy();
    if (fault === "delay") await sleep(Math.random() * 100);
    const answer = await forward(request, sent);
    const body = await text(answer);
    await proxy.onResponse(request.url!, answer.statusCode!, sent, body);
    if (fault === "lose") return void request.socket.destroy();
    if (fault === "delay") await sleep(Math.random() * 100);
    response.writeHead(answer.statusCode!, answer.headers);
    if (fault !== "cut") return void response.end(body);
    response.write(body.slice(0, body.length / 2), () => request.socket.destroy());
  }
}

function forward({ url, method, headers }: IncomingMessage, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    send(TASKS_API + url, { method, headers, agent: false }, resolve).on("error", reject).end(body);
  });
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Wait until something holds, for at most half a minute. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    assert(tries < 600, `not within 30 s: ${holds}`);
    await sleep(50);
  }
}
