// Where a command acts (cli.md): on the server that is named, else on the running one of the data folder, else on the store in this process.
import type { App, Facade } from "../app/index.ts";
import { fail } from "../base/index.ts";
import { adminKeyPath, findAdminKey, type LoadedConfig, readServerFile } from "../config/index.ts";
import type { Principal } from "../model/index.ts";
import type { CliContext } from "./context.ts";
import type { RemoteServer } from "./remote/http-client.ts";

export type Connection = {
  facade: Facade;
  /** Who acts when the store is open in this process; null on a server, which knows by the key. */
  principal: Principal | null;
  /** Whether it works on this machine's files, so that a folder means the same there as here. */
  knowsFolders: boolean;
  close(): Promise<void>;
};

/** Opens what the command acts on; `context.connect` closes it at the end. @throws UNAUTHORIZED, CONFIG_INVALID, STORE_UNAVAILABLE */
export async function connect(context: CliContext): Promise<Connection> {
  const loaded = await context.loadConfig();
  const server = findServer(context, loaded);
  if (server !== null) return await connectRemote(server);
  const { openApp } = await import("../app/index.ts");
  const app = await openApp({ loaded, mode: "command" });
  const caller = app.localCaller();
  return { facade: app.facade(caller), principal: caller.principal, knowsFolders: true, close: () => app.close() };
}

export type HttpConnection = {
  facade: Facade;
  /** Where the server's files lie when they are of this machine's own data folder; else null. */
  loaded: LoadedConfig | null;
};

/**
 * For commands that speak HTTP only: to the server where there is one, else to the same routes in this process, without a port. What
 * was opened is closed at the command's end. @throws UNAUTHORIZED, CONFIG_INVALID, STORE_UNAVAILABLE
 */
export async function connectHttp(context: CliContext): Promise<HttpConnection> {
  const loaded = await context.loadConfig();
  const server = findServer(context, loaded) ?? (await serveSelf(context, loaded));
  const { createRemoteFacade } = await import("./remote/remote-facade.ts");
  return { facade: createRemoteFacade(server), loaded: server.isOwn ? loaded : null };
}

/** Whoever runs this owns the store and needs no key; one that he gives says as whom he wants to act. */
async function serveSelf(context: CliContext, loaded: LoadedConfig): Promise<RemoteServer> {
  const app = await openStore(context, "command");
  const { systemClock, systemIds } = await import("../app/index.ts");
  const { createServer } = await import("../server/index.ts");
  // Nobody keeps a log for this process: what went wrong in it is said here.
  const routes = createServer({ app, clock: systemClock, ids: systemIds, onInternalError: context.printError });
  const key = findGivenKey(context, loaded);
  const answer = (request: Request): Promise<Response> => (key === null ? routes.handle(request, app.localCaller()) : routes.handle(request));
  return { url: "http://localhost", key, keyProblem: null, isOwn: true, answer };
}

async function connectRemote(server: RemoteServer): Promise<Connection> {
  const { createRemoteFacade } = await import("./remote/remote-facade.ts");
  return { facade: createRemoteFacade(server), principal: null, knowsFolders: server.isOwn, close: async () => {} };
}

/** The server that flags or environment name, else the running one of this data folder; null when there is neither. */
export function findServer(context: CliContext, loaded: LoadedConfig): RemoteServer | null {
  return findNamedServer(context, loaded) ?? findLocalServer(context, loaded);
}

/** Only the server that `--server` or AUTOKESTRA_SERVER_URL names. @throws USAGE when that is no URL */
export function findNamedServer(context: CliContext, loaded: LoadedConfig): RemoteServer | null {
  const given = context.common.server ?? loaded.serverUrl;
  if (given === null || given === "") return null;
  const url = parseServerUrl(given);
  const local = readServerFile(loaded.dataDir);
  const isOwn = local !== null && isSamePlace(url, local.url);
  return { url, isOwn, ...findKey(context, loaded, isOwn) };
}

function findLocalServer(context: CliContext, loaded: LoadedConfig): RemoteServer | null {
  const local = readServerFile(loaded.dataDir);
  if (local === null) return null;
  return { url: parseServerUrl(local.url), isOwn: true, ...findKey(context, loaded, true) };
}

// The admin key of a data folder is for its own server alone.
function findKey(context: CliContext, loaded: LoadedConfig, isOwn: boolean): Pick<RemoteServer, "key" | "keyProblem"> {
  const given = findGivenKey(context, loaded);
  if (given !== null) return { key: given, keyProblem: null };
  if (!isOwn) return { key: null, keyProblem: null };
  const found = findAdminKey(loaded.dataDir);
  if (found.key === null) return found;
  const path = adminKeyPath(loaded.dataDir);
  return { key: found.key, keyProblem: `The key in "${path}" is not valid any more. Restart the server: it writes a new one.` };
}

function findGivenKey(context: CliContext, loaded: LoadedConfig): string | null {
  const given = context.common.apiKey ?? loaded.apiKey;
  return given === "" ? null : given;
}

function parseServerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.username !== "")
    throw fail("USAGE", `Cannot use the server "${text}": not an http or https URL`, { hint: "Write it like http://127.0.0.1:7433" });
  return url.href.replace(/\/+$/, "");
}

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

function isSamePlace(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  const sameHost = a.hostname === b.hostname || (loopback.has(a.hostname) && loopback.has(b.hostname));
  return a.protocol === b.protocol && sameHost && a.port === b.port;
}

/** Opens the store in this process, for work that never goes to a server. */
export async function openStore(context: CliContext, mode: "command" | "oneShot"): Promise<App> {
  const loaded = await context.loadConfig();
  const { openApp } = await import("../app/index.ts");
  const app = await openApp({ loaded, mode });
  context.onEnd(() => app.close());
  return app;
}
