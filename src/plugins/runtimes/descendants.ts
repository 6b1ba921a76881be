// Which processes a task consists of at this moment, by the kernel's own lists of children.

import { readFileSync, readdirSync } from "node:fs";

/** Pids below a process, without the first `skipped` generations. A process that is born or ends meanwhile may be missing. */
export function listDescendants(pid: number, { skipped }: { skipped: number }): number[] {
  let generation = [pid];
  const found: number[] = [];
  const seen = new Set<number>([pid]);
  for (let depth = 1; generation.length > 0; depth++) {
    generation = generation.flatMap(childrenOf).filter((child) => !seen.has(child));
    for (const child of generation) seen.add(child);
    if (depth >= skipped) found.push(...generation);
  }
  return found;
}

/** A child belongs to the thread that made it. */
function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number);
    } catch {
      return []; // ended meanwhile
    }
  });
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
