// Fastify with node-postgres on the table of bench/peer.py: the same routes, JSON, validation and tokens.
// Like the peer, it has no `rev`, trash or entity tags; its log and its pool are the defaults.

import cluster from "node:cluster";
import { randomUUID } from "node:crypto";
import { createVerifier } from "fast-jwt";
import Fastify from "fastify";
import pg from "pg";

const { BETTER_AUTH_SECRET, DATABASE_URL, HOST, PORT, WEB_CONCURRENCY } = process.env;
const columns = "id, user_id, title, description, completed, created_at, updated_at";

const task = {
  type: "object",
  properties: {
    id: { type: "string" },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: ["string", "null"] },
    completed: { type: "boolean" },
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  },
};
const fields = {
  title: { type: "string", minLength: 1, maxLength: 200 },
  description: { type: ["string", "null"], maxLength: 1000 },
  completed: { type: "boolean" },
};
const params = { type: "object", properties: { id: { type: "string", format: "uuid" } } };
const querystring = {
  type: "object",
  properties: { limit: { type: "integer", minimum: 1, maximum: 100, default: 100 } },
};
const schemas = {
  list: { querystring, response: { 200: { type: "array", items: task } } },
  create: {
    body: { type: "object", properties: fields, required: ["title"], additionalProperties: false },
    response: { 201: task },
  },
  get: { params, response: { 200: task } },
  update: {
    params,
    body: { type: "object", properties: fields, additionalProperties: false },
    response: { 200: task },
  },
};

async function serve() {
  const pool = new pg.Pool({ connectionString: DATABASE_URL.replace("+psycopg2", "") });
  const verify = createVerifier({ key: BETTER_AUTH_SECRET, algorithms: ["HS256"], cache: true });
  const app = Fastify({ logger: true });

  app.decorateRequest("userId", "");
  app.get("/health", async () => ({ status: "healthy" }));
  app.register(async (api) => {
    api.addHook("onRequest", async (request, reply) => {
      try {
        request.userId = verify((request.headers.authorization ?? "").replace(/^Bearer /i, "")).sub;
      } catch {
        return reply.code(401).header("WWW-Authenticate", "Bearer").send({ detail: "Could not validate credentials" });
      }
    });

    api.get("/api/tasks", { schema: schemas.list }, async (request) => {
      const text = `SELECT ${columns} FROM task WHERE user_id = $1 ORDER BY created_at DESC LIMIT $2`;
      return (await pool.query(text, [request.userId, request.query.limit])).rows;
    });

    api.post("/api/tasks", { schema: schemas.create }, async (request, reply) => {
      const { title, description = null, completed = false } = request.body;
      const text = `INSERT INTO task (${columns}) VALUES ($1, $2, $3, $4, $5, now(), now()) RETURNING ${columns}`;
      const { rows } = await pool.query(text, [randomUUID(), request.userId, title, description, completed]);
      return reply.code(201).send(rows[0]);
    });

    api.get("/api/tasks/:id", { schema: schemas.get }, async (request, reply) => {
      const text = `SELECT ${columns} FROM task WHERE id = $1 AND user_id = $2`;
      return one(reply, await pool.query(text, [request.params.id, request.userId]));
    });

    api.patch("/api/tasks/:id", { schema: schemas.update }, async (request, reply) => {
      const names = Object.keys(request.body);
      const changes = names.map((name, index) => `${name} = $${index + 3}, `).join("");
      const text = `UPDATE task SET ${changes}updated_at = now() WHERE id = $1 AND user_id = $2 RETURNING ${columns}`;
      const values = names.map((name) => request.body[name]);
      return one(reply, await pool.query(text, [request.params.id, request.userId, ...values]));
    });
  });
  await app.listen({ host: HOST, port: Number(PORT) });
}

function one(reply, { rows }) {
  return rows[0] ?? reply.code(404).send({ detail: "Task not found" });
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(WEB_CONCURRENCY); worker++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit();
  });
} else {
  await serve();
}
