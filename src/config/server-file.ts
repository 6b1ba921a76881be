// `server.json`: which server runs on a data folder. A record is trusted only while the very process that wrote it lives:
// its pid may be another program's by now, so the start time of the process counts too.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, isObject } from "../base/index.ts";
import { processStamp } from "./process-stamp.ts";

export type ServerRecord = {
  pid: number;
  port: number;
  host: string;
  /** What clients on this machine use. */
  url: string;
  /** RFC 3339. */
  startedAt: string;
  /** Boot id and start time in clock ticks since boot; null where the system does not tell. */
  startTicks: string | null;
  version: string;
};

/** The record of the live server of this data folder; null when there is none or it is stale. */
export function readServerFile(dataDir: string): ServerRecord | null {
  const record = parseRecord(serverFilePath(dataDir));
  return record !== null && isAlive(record) ? record : null;
}

/**
 * Writes this process's record, for the owner only and in one step.
 * @throws SERVER_RUNNING when another live server's record is there
 */
export function writeServerFile(dataDir: string, server: Omit<ServerRecord, "pid" | "startTicks">): ServerRecord {
  const record: ServerRecord = { pid: process.pid, ...server, startTicks: processStamp(process.pid) };
  const path = serverFilePath(dataDir);
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  try {
    // A link fails when the name is taken: of two servers that start together one loses here.
    if (!tryLink(draft, path)) {
      const other = readServerFile(dataDir);
      if (other !== null && other.pid !== process.pid) throw running(dataDir, other);
      renameSync(draft, path);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return record;
}

/** Removes the record if it is this process's own. */
export function removeServerFile(dataDir: string): void {
  const path = serverFilePath(dataDir);
  if (parseRecord(path)?.pid === process.pid) rmSync(path, { force: true });
}

export function serverFilePath(dataDir: string): string {
  return join(dataDir, "server.json");
}

function running(dataDir: string, other: ServerRecord): Error {
  const message = `Cannot start a server on "${dataDir}": one runs there already at ${other.url} (pid ${other.pid})`;
  return fail("SERVER_RUNNING", message, { details: { pid: other.pid, url: other.url }, hint: "Stop it with: workflow server stop" });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    // Taken, or a file system without hard links: the rename that follows is atomic, if not exclusive.
    return false;
  }
}

function parseRecord(path: string): ServerRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (!isObject(value)) return null;
    const { pid, port, host, url, startedAt, startTicks, version } = value;
    if (!Number.isSafeInteger(pid) || (pid as number) <= 0 || !Number.isSafeInteger(port)) return null;
    if (typeof host !== "string" || typeof url !== "string" || typeof startedAt !== "string" || typeof version !== "string") return null;
    return {
      pid: pid as number,
      port: port as number,
      host,
      url,
      startedAt,
      startTicks: typeof startTicks === "string" ? startTicks : null,
      version,
    };
  } catch {
    return null;
  }
}

function isAlive({ pid, startTicks }: ServerRecord): boolean {
  const now = processStamp(pid);
  if (now !== null || startTicks !== null) return now === startTicks;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as { code?: string }).code === "EPERM";
  }
}
