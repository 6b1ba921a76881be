// What the tests of confined tasks share: a task in the sandbox with its notices, and users it may run as.

import { chmodSync, chownSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessSpec } from "../../src/plugins/runtimes/index.ts";
import type { Confinement, Notice } from "../../src/plugins/sandbox/index.ts";
import { asRoot, finish, onLinux, startTask } from "./task-tree.ts";
import type { Finished, Task } from "./task-tree.ts";

export type User = { uid: number; gid: number } | null;

const CAP_SYS_ADMIN = 21n;

/** Root with all rights: in a default container there are no mounts, and without them no users for tasks. */
function canAdminister(): boolean {
  const [, capabilities = "0"] = (asRoot && onLinux ? /^CapEff:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8")) : null) ?? [];
  return ((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** The engine's own user, and where the engine is root one of the task's own. */
export const users: { name: string; user: User }[] = [
  { name: "the engine's user", user: null },
  ...(canAdminister() ? [{ name: "a user of its own", user: { uid: 1_900_000_777, gid: 1_900_000_777 } }] : []),
];

export function confine(more: Partial<Confinement> = {}): Confinement {
  const limits = { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null };
  return { mode: "enforce", user: null, read: [], write: [], connect: [], listen: [], run: true, limits, ...more };
}

/** A folder that the user owns. */
export function folderFor(user: User, mode = 0o700): string {
  const folder = mkdtempSync(join(tmpdir(), "confined-"));
  chmodSync(folder, mode);
  if (user !== null) chownSync(folder, user.uid, user.gid);
  return folder;
}

export type ConfinedTask = Task & { notices: Notice[] };

export function startConfined(argv: readonly string[], confinement: Confinement, more: Partial<ProcessSpec> = {}): ConfinedTask {
  const notices: Notice[] = [];
  const task = startTask(argv, { confinement, onNotice: (notice) => notices.push(notice), ...more });
  return { ...task, notices };
}

export type FinishedConfined = Finished & { notices: Notice[] };

export async function runConfined(argv: readonly string[], confinement: Confinement, more: Partial<ProcessSpec> = {}): Promise<FinishedConfined> {
  const task = startConfined(argv, confinement, more);
  return { ...(await finish(task)), notices: task.notices };
}
