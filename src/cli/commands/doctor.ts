// doctor: is everything in place for this program to work here; the server first, then this machine.
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Check, checkSandbox, examineMachine, failed, failedBy, keyFolder, modeText, passed, warned } from "../../app/index.ts";
import { fail, toErrorBody, traceVersion, version } from "../../base/index.ts";
import { findAdminKey, type LoadedConfig } from "../../config/index.ts";
import { findServer } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { type RemoteServer, readJson, send } from "../remote/http-client.ts";
import { visibleLine } from "../render/visible.ts";

/** A server that takes longer is not well. */
const answerMsMax = 5000;

export async function runDoctor(context: CliContext): Promise<void> {
  const checks = await examine(context);
  const bad = checks.filter(({ status }) => status === "fail").map(({ id }) => id);
  if (context.common.json) context.printJson({ ok: bad.length === 0, checks });
  else for (const check of checks) context.print(render(context, check));
  if (bad.length > 0) {
    const message = `Cannot call this installation sound: ${bad.length} of ${checks.length} checks failed: ${bad.join(", ")}`;
    throw fail("DOCTOR_FAILED", message, { details: { failed: bad } });
  }
  if (!context.common.json) context.print("All checks passed.\n");
}

async function examine(context: CliContext): Promise<Check[]> {
  let loaded: LoadedConfig;
  try {
    loaded = await context.loadConfig();
  } catch (cause) {
    // Without it there is no saying where anything is.
    return [describeBadConfig(cause), passed("version", `workflow ${version}`), ...(await checkSandbox("enforce"))];
  }
  return [...(await checkServer(context, loaded)), describeConfig(loaded), checkKeys(loaded), ...(await examineMachine(loaded))];
}

const marks = { ok: "OK", warn: "WARN", fail: "FAIL" } as const;

function render({ style }: CliContext, { id, status, message, hint }: Check): string {
  const paint = { ok: style.green, warn: style.yellow, fail: style.red }[status];
  const line = `${paint(`[${marks[status]}]`)} ${id}: ${visibleLine(message)}\n`;
  return hint === null ? line : `${line}       ${style.cyan("hint")}: ${visibleLine(hint)}\n`;
}

type AgentHealth = { version: string; trace_version: string };

/** Reachable and ready, the versions of both sides, and whether it takes our key. */
async function checkServer(context: CliContext, loaded: LoadedConfig): Promise<Check[]> {
  const own = [passed("version", `workflow ${version}`), passed("trace", `TRACE ${traceVersion}`)];
  let server: RemoteServer | null;
  try {
    server = findServer(context, loaded);
  } catch (cause) {
    return [failedBy("runtime", cause), ...own];
  }
  if (server === null) {
    const hint = "Commands work on the store by themselves. Start a server with: workflow server start";
    return [warned("runtime", `no server runs on ${loaded.dataDir}`, hint), ...own];
  }
  try {
    const health = await ask<AgentHealth>(server, "/v1/health");
    return [await checkReadiness(server), compareVersion(health), compareTrace(health)];
  } catch (cause) {
    return [failedBy("runtime", cause), ...own];
  }
}

async function ask<T>(server: RemoteServer, path: string): Promise<T> {
  const signal = AbortSignal.timeout(answerMsMax);
  try {
    return await readJson<T>(server, await send(server, { method: "GET", path, signal }));
  } catch (cause) {
    if (!signal.aborted) throw cause;
    throw fail("SERVER_UNREACHABLE", `Cannot reach the server at ${server.url}: no answer within ${answerMsMax / 1000} s`, { cause });
  }
}

async function checkReadiness(server: RemoteServer): Promise<Check> {
  for (const path of ["/health/ready", "/api/v1/status"]) {
    try {
      await ask(server, path);
    } catch (cause) {
      const { message, hint = null } = toErrorBody(cause);
      return warned("runtime", `${server.url} answers, but: ${message}`, hint);
    }
  }
  return passed("runtime", `${server.url} is healthy and ready`);
}

function compareVersion(health: AgentHealth): Check {
  if (health.version === version) return passed("version", `workflow ${version}, here and on the server`);
  return failed("version", `workflow ${version} here, ${health.version} on the server`, "Restart the server with this version, or use the server's.");
}

function compareTrace(health: AgentHealth): Check {
  if (health.trace_version === traceVersion) return passed("trace", `TRACE ${traceVersion}, here and on the server`);
  return failed("trace", `TRACE ${traceVersion} here, ${health.trace_version} on the server`, "Use the same version on both sides.");
}

function describeConfig({ file, ignoredEnv }: LoadedConfig): Check {
  const message = file === null ? "no file; defaults and environment hold" : `${file} is valid`;
  if (ignoredEnv.length === 0) return passed("config", message);
  return warned("config", `${message}; ignored, since no setting has that name: ${ignoredEnv.join(", ")}`, "See the names: workflow config show");
}

function describeBadConfig(cause: unknown): Check {
  const { message, details, hint = null } = toErrorBody(cause);
  const found = details?.["diagnostics"];
  const [first] = Array.isArray(found) ? (found as { path?: string; message?: string }[]) : [];
  return failed("config", first === undefined ? message : `${message}: ${first.path ?? ""}: ${first.message ?? ""}`, hint);
}

/** Private files that others may read give away more than this machine. */
function checkKeys(loaded: LoadedConfig): Check {
  const { key, keyProblem } = findAdminKey(loaded.dataDir);
  if (keyProblem !== null) return failed("keys", keyProblem, null);
  const folder = keyFolder(loaded);
  const files = existsSync(folder) ? [folder, ...readdirSync(folder).map((name) => join(folder, name))] : [];
  const open = files.find((file) => (lstatSync(file).mode & 0o077) !== 0);
  if (open !== undefined) return failed("keys", `others may read ${open} (mode ${modeText(lstatSync(open).mode)})`, `Run: chmod go= "${open}"`);
  return passed("keys", key === null ? "no admin key yet; the first server start writes it" : "admin.key is this user's alone");
}
