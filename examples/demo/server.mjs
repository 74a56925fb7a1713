/** Better Auth and the web app on one origin: `node server.mjs <port> <the service's address> <folder>`. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const [port, api, folder] = process.argv.slice(2);
const origin = `http://localhost:${port}`;

// Instead of a database: Better Auth's tables in memory, written to a file after each request.
const file = join(folder, "users.json");
const toDate = (name, value) => (value && name.endsWith("At") ? new Date(value) : value);
const none = { user: [], session: [], account: [], verification: [], jwks: [] };
const { secret, tables } = existsSync(file)
  ? JSON.parse(readFileSync(file, "utf8"), toDate)
  : { secret: randomBytes(32).toString("base64"), tables: none };

function save() {
  writeFileSync(`${file}.new`, JSON.stringify({ secret, tables }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

const auth = betterAuth({
  baseURL: origin,
  secret,
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  plugins: [jwt({ jwt: { definePayload: ({ user }) => ({ email: user.email, name: user.name }) } })],
});
const answerAuth = toNodeHandler(auth);

// The app, and the packages that the import map of index.html names.
const FILES = /^\/[\w-]+\.(html|css|js|svg)$/;
const PACKAGES = /^\/node_modules\/(fractional-indexing|idb|openapi-fetch|tasks-api-client)\/[\w/-]+\.m?js$/;
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".svg": "image/svg+xml" };

function read(path) {
  if (!FILES.test(path) && !PACKAGES.test(path)) return null;
  const name = join(import.meta.dirname, FILES.test(path) ? "public" : "", path);
  return existsSync(name) ? readFileSync(name) : null;
}

const importMap = /<script type="importmap">(.*?)<\/script>/s.exec(read("/index.html"))[1];
const importMapHash = createHash("sha256").update(importMap).digest("base64");
const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    `default-src 'none'; script-src 'self' 'sha256-${importMapHash}'; style-src 'self'; img-src 'self'; ` +
    `connect-src 'self' ${api}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "X-Content-Type-Options": "nosniff",
};

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, origin);
  const path = pathname === "/" ? "/index.html" : pathname;
  const type = TYPES[extname(path)] ?? "text/javascript";
  if (request.headers.host !== `localhost:${port}`) {
    // Cookies and tokens are for this origin alone.
    response.writeHead(308, { Location: origin }).end();
  } else if (path.startsWith("/api/auth/")) {
    await answerAuth(request, response);
    save();
  } else if (path === "/config.js") {
    response.writeHead(200, { ...HEADERS, "Content-Type": type }).end(`export const API = "${api}";\n`);
  } else {
    const body = read(path);
    response.writeHead(body ? 200 : 404, { ...HEADERS, "Content-Type": type }).end(body);
  }
});
server.listen(port, "127.0.0.1");
