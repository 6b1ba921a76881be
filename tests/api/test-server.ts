// A server over a real store in a temporary folder, called without a port. Engine and triggers stand still: `command` mode starts nothing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, type Facade, openApp } from "../../src/app/index.ts";
import type { Clock, Ids } from "../../src/base/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import type { Scope } from "../../src/model/index.ts";
import { createServer, type Server, type ServerDeps } from "../../src/server/index.ts";

export type TestCall = { key?: string | null; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal };
export type TestServer = {
  app: App;
  server: Server;
  adminKey: string;
  clock: Clock & { at: number };
  /** Mistakes of our own that were told. */
  troubles: unknown[];
  /** A fresh key with these scopes. */
  keyWith(...scopes: Scope[]): Promise<{ id: string; key: string }>;
  /** A body that is not a string is sent as JSON; no key means the admin's, null means none. */
  call(method: string, path: string, how?: TestCall): Promise<Response>;
  close(): Promise<void>;
};

export type TestServerOptions = {
  set?: Record<string, unknown>;
  deps?: Partial<ServerDeps>;
  /** Puts something of the test's own between server and app. */
  wrap?: (app: App) => App;
};

const countingIds = (): Ids => {
  let count = 0;
  return { next: () => `00000000-0000-7000-8000-${String(++count).padStart(12, "0")}` };
};

export async function openTestServer({ set = {}, deps = {}, wrap = (app) => app }: TestServerOptions = {}): Promise<TestServer> {
  const root = mkdtempSync(join(tmpdir(), "api-"));
  const loaded = loadConfig({ flags: { data: root, set: { "server.port": 0, ...set } }, env: { HOME: root }, cwd: root });
  const app = await openApp({ loaded, mode: "command" });
  const clock = { at: Date.parse("2026-01-02T03:04:05.678Z"), now: () => clock.at };
  const troubles: unknown[] = [];
  const onInternalError = (thrown: unknown): void => void troubles.push(thrown);
  const server = createServer({ app: wrap(app), clock, ids: countingIds(), onInternalError, ...deps });
  const keyWith = async (...scopes: Scope[]) => {
    const { id, key } = await app.facade(app.localCaller()).createKey({ principal: { type: "service", id: "test" }, roles: [], scopes });
    return { id, key };
  };
  const { key: adminKey } = await keyWith("admin");
  return {
    app,
    server,
    adminKey,
    clock,
    troubles,
    keyWith,
    call: (method, path, how = {}) => server.handle(requestOf(method, path, { key: adminKey, ...how })),
    async close() {
      await server.stop({ graceMs: 0 });
      await app.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The app with verbs, or members of its own, replaced. */
export function withParts(app: App, verbs: Partial<Facade>, members: Partial<App> = {}): App {
  const facade: App["facade"] = (caller) => ({ ...app.facade(caller), ...verbs });
  return Object.assign(Object.create(app) as App, { facade }, members);
}

export function requestOf(method: string, path: string, { key = null, body, headers = {}, signal }: TestCall): Request {
  const init: RequestInit = { method, headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers } };
  if (signal !== undefined) init.signal = signal;
  if (body !== undefined) {
    const isRaw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
    init.body = isRaw ? (body as NonNullable<RequestInit["body"]>) : JSON.stringify(body);
    const typed = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
    if (!typed) init.headers = { ...init.headers, "content-type": "application/json" };
  }
  return new Request(`http://server.test${path}`, init);
}

/** Status and code of a refusal, or the status alone. */
export async function outcome(response: Response | Promise<Response>): Promise<string> {
  const { status, ok } = await response;
  if (ok) return String(status);
  const body = (await (await response).json()) as { error?: { code?: string } };
  return `${status} ${body.error?.code ?? "without envelope"}`;
}
