// server start: one server per data folder, in the foreground or detached, stopped by a signal.
import { assert, fail, parseDuration, toIso, version } from "../../base/index.ts";
import type { App } from "../../app/index.ts";
import { ensureDataDir, type LoadedConfig, readServerFile, removeServerFile, writeServerFile } from "../../config/index.ts";
import type { Server } from "../../server/index.ts";
import type { CliContext } from "../context.ts";
import { parseCount } from "../option-values.ts";
import { lockDataDir } from "../server-process/data-lock.ts";
import { listeningPrefix, reportStartFailure } from "../server-process/start-report.ts";
import { signalExits } from "../signals.ts";

type StartValues = { host: string | null; port: string | null; detach: boolean };

export async function startServer(context: CliContext, values: StartValues): Promise<number> {
  let isUp = false;
  try {
    return await start(context, values, () => {
      isUp = true;
    });
  } catch (thrown) {
    if (!isUp) reportStartFailure(context, thrown);
    throw thrown;
  }
}

async function start(context: CliContext, values: StartValues, onUp: () => void): Promise<number> {
  if (context.common.server !== null) throw fail("USAGE", "Cannot start a server elsewhere: leave --server out");
  parseCount("--port", values.port, { min: 0, max: 65_535 });
  const loaded = await context.loadConfig({
    ...(values.host === null ? {} : { "server.host": values.host }),
    ...(values.port === null ? {} : { "server.port": values.port }),
  });
  ensureDataDir(loaded);
  const other = readServerFile(loaded.dataDir);
  if (other !== null)
    throw fail("SERVER_RUNNING", `Cannot start a server on "${loaded.dataDir}": one runs there already at ${other.url} (pid ${other.pid})`, {
      hint: "Stop it with: workflow server stop",
      details: { pid: other.pid, url: other.url },
    });
  if (values.detach) {
    const { startDetached } = await import("../server-process/detach.ts");
    const record = await startDetached(context, loaded, values);
    if (context.common.json) context.printJson({ running: true, pid: record.pid, url: record.url, version: record.version, uptimeMs: 0 });
    context.note(`Listening on ${record.url} (pid ${record.pid})`);
    return 0;
  }
  return await serve(context, loaded, onUp);
}

async function serve(context: CliContext, loaded: LoadedConfig, onUp: () => void): Promise<number> {
  const stop = watchStop(context);
  const lock = await lockDataDir(loaded.dataDir);
  try {
    const { openApp } = await import("../../app/index.ts");
    const app = await openApp({ loaded, mode: "server" });
    const server = await listen(context, app).catch(async (thrown: unknown) => {
      await app.close();
      throw thrown;
    });
    onUp();
    await stop.asked;
    context.note("Stopping; a second signal ends it at once.");
    await Promise.race([closeAll({ app, loaded, stopServer: () => server.stop() }), stop.forced]);
  } finally {
    removeServerFile(loaded.dataDir);
    lock.release();
    stop.release();
  }
  return stop.exitCode();
}

async function listen(context: CliContext, app: App): Promise<Server> {
  const { io } = context;
  const { loaded } = app;
  await app.ensureAdminKey();
  const { systemClock, systemIds } = await import("../../app/index.ts");
  const { createServer } = await import("../../server/index.ts");
  const onInternalError = (thrown: unknown, requestId: string | null) =>
    io.stderr(`${toIso(io.now())} ${requestId === null ? "server" : `request ${requestId}`}: ${traceOf(thrown)}\n`);
  const server = createServer({ app, clock: systemClock, ids: systemIds, onInternalError });
  const address = await server.listen();
  try {
    writeServerFile(loaded.dataDir, { ...address, startedAt: toIso(io.now()), version });
  } catch (thrown) {
    await server.stop({ graceMs: 0 });
    throw thrown;
  }
  // Also with --json: whoever starts it has no other way to learn the address of a free port.
  if (!context.common.quiet) io.stderr(`${listeningPrefix}${address.url}\n`);
  if (loaded.ignoredEnv.length > 0) context.detail(`Ignored, since no setting has that name: ${loaded.ignoredEnv.join(", ")}`);
  return server;
}

const traceOf = (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));

type Closing = { app: App; loaded: LoadedConfig; stopServer: () => Promise<void> };

// No request meets a store that is closing: first the routes go, then what runs may end.
async function closeAll({ app, loaded, stopServer }: Closing): Promise<void> {
  const drainMs = parseDuration(loaded.config.server.drainTimeout);
  assert(drainMs !== null, "durations of the configuration were checked");
  await stopServer();
  await app.close({ drainMs });
}

// A clean stop is success; a forced one has the exit of its signal.
function watchStop(context: CliContext) {
  const asked = Promise.withResolvers<void>();
  const forced = Promise.withResolvers<void>();
  let signals = 0;
  let exit = 0;
  const release = context.io.onSignal((signal) => {
    signals += 1;
    asked.resolve();
    if (signals < 2) return;
    exit = signalExits[signal];
    forced.resolve();
  });
  return { asked: asked.promise, forced: forced.promise, exitCode: () => exit, release };
}
