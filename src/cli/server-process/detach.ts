// server start --detach: starts this program again in the background, with its log in the data folder, and waits until it is ready.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type CodedError, type ErrorBody, fail, fromErrorBody, isObject } from "../../base/index.ts";
import { type LoadedConfig, readServerFile, type ServerRecord } from "../../config/index.ts";
import type { CliContext } from "../context.ts";
import { visibleLine } from "../render/visible.ts";
import { isReady } from "./health.ts";
import { listeningPrefix, reportVariable } from "./start-report.ts";

const pollMs = 20;
const readyMs = 60_000;

export type StartFlags = { host: string | null; port: string | null };

/** The record of the server that was started. @throws NOT_READY, and what the server failed with when it ended at once */
export async function startDetached(context: CliContext, loaded: LoadedConfig, flags: StartFlags): Promise<ServerRecord> {
  const log = join(loaded.dataDir, "server.log");
  const fd = openSync(log, "a", 0o600);
  const from = fstatSync(fd).size;
  // Several starts write to one log, so each has its failure told in a file of its own.
  const report = join(loaded.dataDir, `start-${process.pid}-${context.io.now()}.json`);
  const env = { ...context.io.env, [reportVariable]: report };
  const args = [...programArgs(), ...startArgs(context, flags)];
  const child = spawn(process.execPath, args, { cwd: context.io.cwd, env, detached: true, stdio: ["ignore", fd, fd] });
  closeSync(fd);
  const ended = exitOf(child);
  const deadline = context.io.now() + readyMs;
  while (context.io.now() < deadline) {
    const record = readServerFile(loaded.dataDir);
    if (record !== null && record.pid === child.pid && (await isReady(record.url))) {
      child.unref();
      for (const line of readWarnings(log, from)) context.remark(visibleLine(line));
      return record;
    }
    const code = await Promise.race([ended, pause(pollMs)]);
    if (code === undefined) continue;
    throw readReport(report) ?? fail("NOT_READY", `Cannot start the server: its process ended with ${code}`, { hint: `See ${log}` });
  }
  throw fail("NOT_READY", `Cannot say that the server is ready: it is not after ${readyMs / 1000} s`, { hint: `See ${log}` });
}

/** More than the start of any server says. */
const startBytesMax = 64 * 1024;

/** What the server said before it listened; errors there are those of others, which wanted to start too. */
function readWarnings(log: string, from: number): string[] {
  const fd = openSync(log, "r");
  try {
    const bytes = Buffer.alloc(startBytesMax);
    const lines = bytes.toString("utf8", 0, readSync(fd, bytes, 0, startBytesMax, from)).split("\n");
    const end = lines.findIndex((line) => line.startsWith(listeningPrefix));
    return lines.slice(0, end === -1 ? -1 : end).filter((line) => line !== "" && !/^(?:error\[|hint: |\{"error":)/.test(line));
  } finally {
    closeSync(fd);
  }
}

// What the child failed with; null when it could not say.
function readReport(path: string): CodedError | null {
  try {
    const body: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isObject(body) ? fromErrorBody(body as ErrorBody) : null;
  } catch {
    return null;
  } finally {
    rmSync(path, { force: true });
  }
}

// A compiled program is its own interpreter; from source the entry file comes first.
function programArgs(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
}

function startArgs({ common }: CliContext, { host, port }: StartFlags): string[] {
  const valued: [string, string | null][] = [
    ["--config", common.config],
    ["--data", common.data],
    ["--host", host],
    ["--port", port],
  ];
  const switches: [string, boolean][] = [
    ["--json", common.json],
    ["--verbose", common.verbose],
  ];
  return [
    "server",
    "start",
    "--no-color",
    ...valued.flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`])),
    ...switches.flatMap(([name, given]) => (given ? [name] : [])),
  ];
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code ?? 1));
    child.once("error", () => resolve(1));
  });
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => void setTimeout(resolve, ms, undefined));
}
