// What a tree of processes uses at this moment, from /proc: how many there are, and the memory that is theirs.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { listMacTree, macTools, measureMacMemory } from "./macos/index.ts";

const isMac = process.platform === "darwin";

/** All descendants of a process, no more than `max` and without the first `skipped` generations. Itself is left out where it is the
 * supervisor; on macOS there is none. One that is born or ends meanwhile may be missing. */
export function listDescendants(pid: number, max: number, skipped = 0): number[] {
  if (isMac) return listMacTree(pid, max, macTools.ps);
  const found: number[] = [];
  let parents: readonly number[] = [pid];
  for (let depth = 0; parents.length > 0 && found.length < max; depth += 1) {
    const children = hasChildrenFiles() ? parents.flatMap(childrenOf) : scanChildren(new Set(parents));
    if (depth >= skipped) found.push(...children.slice(0, max - found.length));
    parents = children;
  }
  return found;
}

/** Whether the kernel keeps lists of children; some are built without. */
function hasChildrenFiles(): boolean {
  knowsChildren ??= read(`/proc/self/task/${process.pid}/children`) !== null;
  return knowsChildren;
}

let knowsChildren: boolean | null = null;

/** A child belongs to the thread that started it. */
function childrenOf(pid: number): number[] {
  return listNames(`/proc/${pid}/task`).flatMap((thread) => numbersOf(read(`/proc/${pid}/task/${thread}/children`) ?? ""));
}

function scanChildren(parents: ReadonlySet<number>): number[] {
  return numbersOf(listNames("/proc").join(" ")).filter((pid) => {
    const stat = read(`/proc/${pid}/stat`) ?? "";
    // The name stands in parentheses and may hold anything; state and parent follow the last of them.
    return parents.has(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  });
}

/** Threads of these processes, which the kernel counts like processes, but not for root. A process has at least one. */
export function countThreads(pids: readonly number[]): number {
  if (isMac) return pids.length;
  // A folder has two links of its own, and this one has one more for each thread.
  return pids.reduce((sum, pid) => sum + Math.max(1, (statSync(`/proc/${pid}/task`, { throwIfNoEntry: false })?.nlink ?? 0) - 2), 0);
}

/** Bytes of memory that nothing but these processes keeps: not the files they have mapped, which the kernel can drop.
 * Cheap first, which counts what they share again for each; exact, and dear, only when that is above `limit`. */
export function measureMemory(pids: readonly number[], limit: number): number {
  if (isMac) return measureMacMemory(pids, macTools.ps);
  const rough = pids.reduce((sum, pid) => sum + (sumFields(`/proc/${pid}/status`, roughFields) ?? 0), 0);
  if (rough <= limit) return rough;
  return pids.reduce(
    (sum, pid) => sum + (sumFields(`/proc/${pid}/smaps_rollup`, exactFields) ?? sumFields(`/proc/${pid}/status`, roughFields) ?? 0),
    0,
  );
}

const roughFields = /^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB$/gm;
const exactFields = /^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB$/gm;

/** Bytes; null when the process is gone or may not be looked at. */
function sumFields(path: string, fields: RegExp): number | null {
  const text = read(path);
  if (text === null) return null;
  return text.matchAll(fields).reduce((sum, match) => sum + Number(match[1]) * 1024, 0);
}

/** Null when it is not there (any more). */
function read(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function numbersOf(text: string): number[] {
  return text
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);
}
