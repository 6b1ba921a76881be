// server start: one server per data folder, in the foreground or detached, stopped by a signal.
import { assert, fail, parseDuration, toIso, version } from "../../base/index.ts";
import type { App } from "../../app/index.ts";
import { ensureDataDir, type LoadedConfig, readServerFile, removeServerFile, writeServerFile } from "../../config/index.ts";
import type { CliContext } from "../context.ts";
import { parseCount } from "../option-values.ts";
import { lockDataDir } from "../server-process/data-lock.ts";
import { signalExits } from "../signal-exits.ts";

type StartValues = { host: string | null; port: string | null; detach: boolean };

export async function startServer(context: CliContext, values: StartValues): Promise<number> {
  if (context.common.server !== null) throw fail("USAGE", "Cannot start a server elsewhere: leave --server out");
  parseCount("--port", values.port, { min: 0, max: 65_535 });
  const loaded = await context.loadConfig({
    ...(values.host === null ? {} : { "server.host": values.host }),
    ...(values.port === null ? {} : { "server.port": values.port }),
  });
  ensureDataDir(loaded);
  const other = readServerFile(loaded.dataDir);
  if (other !== null)
    throw fail("SERVER_RUNNING", `Cannot start a server on "${loaded.dataDir}": one runs there already at ${other.url} (pid ${other.pid})`, { hint: "Stop it with: workflow server stop", details: { pid: other.pid, url: other.url } });
  if (values.detach) {
    const { startDetached } = await import("../server-process/detach.ts");
    const record = await startDetached(context, loaded, values);
    if (context.common.json) context.printJson({ running: true, pid: record.pid, url: record.url, version: record.version, uptimeMs: 0 });
    context.note(`Listening on ${record.url} (pid ${record.pid})`);
    return 0;
  }
  return await serve(context, loaded);
}

async function serve(context: CliContext, loaded: LoadedConfig): Promise<number> {
  const stop = watchStop(context);
  const lock = await lockDataDir(loaded.dataDir);
  const { openApp, systemClock, systemIds } = await import("../../app/index.ts");
  const app = await openApp({ loaded, mode: "server" });
  try {
    await app.ensureAdminKey();
    const { createServer } = await import("../../server/index.ts");
    const server = createServer({ app, clock: systemClock, ids: systemIds });
    const address = await server.listen();
    writeServerFile(loaded.dataDir, { ...address, startedAt: toIso(context.io.now()), version });
    context.note(`Listening on ${address.url}`);
    if (loaded.ignoredEnv.length > 0) context.detail(`Ignored, since no setting has that name: ${loaded.ignoredEnv.join(", ")}`);
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

type Closing = { app: App; loaded: LoadedConfig; stopServer: () => Promise<void> };

// New work is refused first; what runs may end while the routes still answer.
async function closeAll({ app, loaded, stopServer }: Closing): Promise<void> {
  const drainMs = parseDuration(loaded.config.server.drainTimeout);
  assert(drainMs !== null, "durations of the configuration were checked");
  await app.close({ drainMs });
  await stopServer();
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
