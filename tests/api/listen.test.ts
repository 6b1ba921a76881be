// The server on real sockets of the loopback: addresses, TLS, bodies that never end, slow readers, and stopping.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { App } from "../../src/app/index.ts";
import { isCoded } from "../../src/base/index.ts";
import { isLoopback } from "../../src/server/index.ts";
import { openTestServer, type TestServer, type TestServerOptions, withParts } from "./test-server.ts";

const opened: TestServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of opened.splice(0)) await server.close();
});

async function open(options: TestServerOptions = {}) {
  const server = await openTestServer(options);
  opened.push(server);
  return server;
}

async function listening(options: TestServerOptions = {}) {
  const server = await open(options);
  return { ...server, ...(await server.server.listen()) };
}

async function codeOf(run: () => Promise<unknown>): Promise<string | null> {
  try {
    await run();
    return null;
  } catch (thrown) {
    return isCoded(thrown) ? thrown.code : String(thrown);
  }
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await Bun.sleep(5);
  }
}

/** A raw connection with all that came back. */
async function dial(port: number) {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  const state = { text: "", closed: false };
  socket.on("data", (chunk) => (state.text += String(chunk)));
  socket.on("close", () => (state.closed = true));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, state };
}

test("it listens where it is told and answers there", async () => {
  const { url, host, port, adminKey } = await listening();
  expect([url, host]).toEqual([`http://127.0.0.1:${port}`, "127.0.0.1"]);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect((await fetch(`${url}/api/v1/workflows`)).status).toBe(401);
  expect((await fetch(`${url}/api/v1/workflows`, { headers: { "x-api-key": adminKey } })).status).toBe(200);
});

test("short host names, and none at all, reach their route", async () => {
  const { port } = await listening();
  for (const head of ["GET /v1/health HTTP/1.1\r\nHost: a", "GET /v1/health HTTP/1.0", "GET /health/ready HTTP/1.1\r\nHost: [::1]:1"]) {
    const { socket, state } = await dial(port);
    socket.write(`${head}\r\n\r\n`);
    await until(() => state.text.includes("}"), "an answer");
    expect(state.text).toStartWith("HTTP/1.1 200");
  }
});

test("an address that is taken, or that others can reach without TLS, is CONFIG_INVALID", async () => {
  const { port } = await listening();
  const second = await open({ set: { "server.port": port } });
  expect(await codeOf(() => second.server.listen())).toBe("CONFIG_INVALID");
  const exposed = await open({ set: { "server.host": "0.0.0.0" } });
  expect(await codeOf(() => exposed.server.listen())).toBe("CONFIG_INVALID");
  const insecure = await listening({ set: { "server.host": "0.0.0.0", "server.insecure": true } });
  expect(insecure.url).toBe(`http://127.0.0.1:${insecure.port}`);
  expect((await fetch(`${insecure.url}/health`)).status).toBe(200);
  const noFiles = await open({ set: { "server.tls": { cert: "/nowhere.pem", key: "/nowhere.key" } } });
  expect(await codeOf(() => noFiles.server.listen())).toBe("CONFIG_INVALID");
});

test("what is loopback and what is not", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) expect(isLoopback(host)).toBe(true);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com"]) expect(isLoopback(host)).toBe(false);
});

// A certificate has to be made first, which needs that program.
test.skipIf(Bun.which("openssl") === null)("with TLS it answers over HTTPS", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tls-"));
  const [cert, key] = [join(dir, "c.pem"), join(dir, "k.pem")];
  const form = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"];
  const made = Bun.spawnSync(["openssl", "req", ...form, "-keyout", key, "-out", cert]);
  expect(made.exitCode).toBe(0);
  const { url, adminKey } = await listening({ set: { "server.tls": { cert, key }, "server.host": "0.0.0.0" } });
  expect(url).toStartWith("https://127.0.0.1:");
  const tls = { rejectUnauthorized: false };
  expect((await fetch(`${url}/health`, { tls })).status).toBe(200);
  expect((await fetch(`${url}/api/v1/workflows/x`, { tls, headers: { "x-api-key": adminKey } })).status).toBe(404);
  rmSync(dir, { recursive: true });
});

test("an ordinary client whose body is too large gets to see why", async () => {
  const { url, adminKey } = await listening();
  const headers = { authorization: `Bearer ${adminKey}`, "content-type": "text/yaml" };
  const put = (size: number) => fetch(`${url}/api/v1/workflows/big`, { method: "PUT", body: "#".repeat(size), headers });
  for (const size of [1024 * 1024 + 1, 3 * 1024 * 1024]) expect((await put(size)).status).toBe(413);
});

test.each([
  ["chunked", "Transfer-Encoding: chunked"],
  ["declared", `Content-Length: ${1024 ** 3}`],
])("an endless %s body is answered and cut off", async (form, header) => {
  const { port, adminKey, url } = await listening();
  const { socket, state } = await dial(port);
  socket.write(`PUT /api/v1/workflows/big HTTP/1.1\r\nHost: a\r\nContent-Type: text/yaml\r\nX-API-Key: ${adminKey}\r\n${header}\r\n\r\n`);
  const part = "#".repeat(0x10000);
  const sent = form === "chunked" ? `10000\r\n${part}\r\n` : part;
  let bytes = 0;
  await until(() => {
    if (!state.closed && socket.writableLength < 1_000_000) {
      socket.write(sent);
      bytes += part.length;
    }
    return state.closed;
  }, "the cut");
  expect(bytes).toBeLessThan(64 * 1024 * 1024);
  expect((await fetch(`${url}/health`)).status).toBe(200);
});

test("a reader that does not read holds nothing up but itself", async () => {
  let taken = 0;
  const text = `{"pad":"${"x".repeat(60_000)}"}`;
  async function* endless(): AsyncGenerator<{ seq: number; text: string }> {
    for (;;) yield { seq: ++taken, text };
  }
  const wrap = (app: App): App => withParts(app, { streamEvents: endless });
  const { port, adminKey, url } = await listening({ wrap });
  const { socket, state } = await dial(port);
  socket.pause();
  socket.write(`GET /v1/traces/stream HTTP/1.1\r\nHost: a\r\nX-API-Key: ${adminKey}\r\n\r\n`);
  await until(() => taken > 0, "a first event");
  let before = -1;
  // The kernel's buffers fill; then nothing more is taken.
  await until(() => {
    const isStill = before === taken;
    before = taken;
    return isStill;
  }, "standing still");
  expect(taken * text.length).toBeLessThan(64 * 1024 * 1024);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(state.closed).toBe(false);
});

test("a stop ends streams, lets requests finish, and frees the port", async () => {
  const wait = Promise.withResolvers<void>();
  let isAsked = false;
  const status = async (): Promise<never> => {
    isAsked = true;
    await wait.promise;
    return { late: true } as never;
  };
  const wrap = (app: App): App => withParts(app, { status });
  const { url, port, adminKey, server } = await listening({ wrap });
  const headers = { "x-api-key": adminKey };
  const stream = await fetch(`${url}/v1/traces/stream`, { headers });
  const slow = fetch(`${url}/api/v1/status`, { headers });
  await until(() => isAsked, "the slow request");
  const stopped = server.stop({ graceMs: 10_000 });
  expect(await stream.text()).toStartWith(": open\n\n");
  expect(await codeOf(() => fetch(`${url}/health`))).not.toBeNull();
  wait.resolve();
  expect(await (await slow).json()).toEqual({ late: true });
  await stopped;
  const next = await open({ set: { "server.port": port } });
  expect((await next.server.listen()).port).toBe(port);
});

test("a request that never ends is cut off when the grace is over", async () => {
  let isAsked = false;
  const status = (): Promise<never> => {
    isAsked = true;
    return new Promise(() => undefined);
  };
  const { url, adminKey, server } = await listening({ wrap: (app) => withParts(app, { status }) });
  const never = codeOf(() => fetch(`${url}/api/v1/status`, { headers: { "x-api-key": adminKey } }));
  await until(() => isAsked, "the request");
  await server.stop({ graceMs: 50 });
  expect(await never).not.toBeNull();
});
