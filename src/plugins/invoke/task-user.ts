// The user that the tasks of an execution become, where the engine is root: one for each execution, out of a range that nothing else uses.
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Bytes } from "../../base/index.ts";

export type TaskUser = { uid: number; gid: number };

/** High enough for no distribution's own ranges; a container often maps only the low numbers. */
const ranges = [
  { first: 1_900_000_000, size: 1_000_000 },
  { first: 200_000, size: 100_000 },
  { first: 60_000, size: 4_000 },
];

type MappedRange = { first: number; last: number };
let mapped: MappedRange[] | null = null;

/** The numbers that this user namespace knows. */
function mappedRanges(): MappedRange[] {
  mapped ??= readMap("/proc/self/uid_map");
  return mapped;
}

function readMap(path: string): MappedRange[] {
  try {
    const rows = readFileSync(path, "utf8").trim().split("\n");
    return rows.map((row) => row.trim().split(/\s+/).map(Number)).map(([first = 0, , size = 0]) => ({ first, last: first + size - 1 }));
  } catch {
    return [];
  }
}

function ownRange(): { first: number; size: number } | null {
  return ranges.find(({ first, size }) => mappedRanges().some((known) => known.first <= first && first + size - 1 <= known.last)) ?? null;
}

/** Whether a user may be one that some execution's tasks became. */
export function isTaskUser(uid: number): boolean {
  const range = process.getuid?.() === 0 ? ownRange() : null;
  return range !== null && uid >= range.first && uid < range.first + range.size;
}

/** The execution's own user, null where no range is mapped. */
export function ownUser(executionId: string): TaskUser | null {
  const range = ownRange();
  if (range === null) return null;
  const id = range.first + (new DataView(sha256Bytes(executionId).buffer).getUint32(0) % range.size);
  return { uid: id, gid: id };
}

/** Whether a path that the execution's tasks were granted can only be used by the engine's own user: that execution keeps it,
 * without capabilities. Real paths. */
export function needsEngineUser(granted: { read: readonly string[]; write: readonly string[] }, engineUid: number): boolean {
  return (
    granted.write.some((path) => lstatSync(path, { throwIfNoEntry: false })?.uid === engineUid) ||
    granted.read.some((path) => isClosed(path, engineUid))
  );
}

/** So many entries of a granted folder are looked at. */
const entriesMax = 500;

/** Whether others may not read it, or something of the first that lies in it. */
function isClosed(path: string, engineUid: number): boolean {
  const left = [path];
  for (let seen = 0; seen < entriesMax && left.length > 0; seen += 1) {
    const next = left.shift() ?? "";
    const status = lstatSync(next, { throwIfNoEntry: false });
    if (status === undefined || status.isSymbolicLink()) continue;
    const isFolder = status.isDirectory();
    const needed = isFolder ? 0o005 : 0o004;
    if (status.uid === engineUid && (status.mode & needed) !== needed) return true;
    if (isFolder)
      left.push(
        ...namesIn(next)
          .slice(0, entriesMax - left.length)
          .map((name) => join(next, name)),
      );
  }
  return false;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
