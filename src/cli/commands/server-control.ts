// server stop and server status.
import { assert, fail, parseDuration, renderDuration } from "../../base/index.ts";
import { readServerFile, type ServerRecord } from "../../config/index.ts";
import { findServer } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { renderPairs } from "../render/table.ts";
import { readHealth } from "../server-process/health.ts";

const pollMs = 20;
// Beyond the time that tasks may take: killing what is left, the last checkpoint, closing.
const closeMs = 15_000;

export async function stopServer(context: CliContext): Promise<void> {
  const loaded = await context.loadConfig();
  if (context.common.server !== null) throw fail("USAGE", "Cannot stop a server over HTTP: name its data folder with --data");
  const record = readServerFile(loaded.dataDir);
  if (record === null) throw fail("SERVER_NOT_RUNNING", `Cannot stop the server of "${loaded.dataDir}": none runs there`);
  const drainMs = parseDuration(loaded.config.server.drainTimeout);
  assert(drainMs !== null, "durations of the configuration were checked");
  process.kill(record.pid, "SIGTERM");
  const deadline = context.io.now() + drainMs + closeMs;
  while (isStill(loaded.dataDir, record)) {
    if (context.io.now() > deadline)
      throw fail("NOT_READY", `Cannot say that the server stopped: pid ${record.pid} still runs`, { hint: "Stop it again to force it." });
    await new Promise((resolve) => void setTimeout(resolve, pollMs));
  }
  if (context.common.json) return context.printJson(absent);
  context.note(`Stopped the server at ${record.url} (pid ${record.pid}).`);
}

function isStill(dataDir: string, record: ServerRecord): boolean {
  const present = readServerFile(dataDir);
  return present !== null && present.pid === record.pid && present.startTicks === record.startTicks;
}

const absent = { running: false, pid: null, url: null, version: null, uptimeMs: null };

export async function showServerStatus(context: CliContext): Promise<void> {
  const loaded = await context.loadConfig();
  const server = findServer(context, loaded);
  if (server === null) {
    if (context.common.json) return context.printJson(absent);
    return context.print(`No server runs on ${loaded.dataDir}.\n`);
  }
  const health = await readHealth(server);
  const record = readServerFile(loaded.dataDir);
  const pid = record !== null && record.url === server.url ? record.pid : null;
  const status = { running: true, pid, url: server.url, version: health.version, uptimeMs: health.uptimeMs };
  if (context.common.json) return context.printJson(status);
  const pairs = [
    ["running", "yes"],
    ["url", status.url],
    ["pid", String(pid)],
    ["version", status.version],
    ["up", renderDuration(status.uptimeMs)],
  ] as const;
  context.print(
    renderPairs(
      pairs.filter(([name]) => name !== "pid" || pid !== null),
      context.style,
    ),
  );
}
