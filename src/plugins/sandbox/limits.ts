// The limits of every single process of a task. What counts the whole tree is the watchdog's.

import { addBytes } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import type { Confinement } from "./confinement.ts";

const resource = { CPU: 0, FSIZE: 1, DATA: 2, CORE: 4, NPROC: 6, NOFILE: 7, AS: 9 } as const;

/** Address space beyond the memory that may be written: programs, libraries, and what runtimes reserve and never touch. */
const reservedBytes = 1024 * 1024 * 1024;

/** All limits but that of open files. That of processes counts all of a user's, threads too: without `countsApart` those of the
 * engine and of other tasks would be among them, and only the watchdog holds the limit. */
export function limitProcess(draft: PlanDraft, limits: Confinement["limits"], countsApart: boolean): void {
  forbidCoreDumps(draft);
  const { memoryBytes, cpuSeconds, processes, fileBytes } = limits;
  if (memoryBytes !== null) {
    setLimit(draft, resource.DATA, { soft: memoryBytes, hard: memoryBytes });
    setLimit(draft, resource.AS, { soft: memoryBytes + reservedBytes, hard: memoryBytes + reservedBytes });
  }
  // The first is SIGXCPU, which tells what happened; a second later comes SIGKILL.
  if (cpuSeconds !== null) setLimit(draft, resource.CPU, { soft: Math.ceil(cpuSeconds), hard: Math.ceil(cpuSeconds) + 1 });
  if (processes !== null && countsApart) setLimit(draft, resource.NPROC, { soft: processes, hard: processes });
  if (fileBytes !== null) setLimit(draft, resource.FSIZE, { soft: fileBytes, hard: fileBytes });
}

/** Of tasks in every mode: what they were given in confidence must not come to lie on a disk. */
export function forbidCoreDumps(draft: PlanDraft): void {
  setLimit(draft, resource.CORE, { soft: 0, hard: 0 });
}

/** Comes last, since the filter's listener needs a number that may lie above it. */
export function limitOpenFiles(draft: PlanDraft, limits: Confinement["limits"]): void {
  if (limits.openFiles !== null) setLimit(draft, resource.NOFILE, { soft: limits.openFiles, hard: limits.openFiles });
}

function setLimit(draft: PlanDraft, which: number, { soft, hard }: { soft: number; hard: number }): void {
  const value = addBytes(draft, new Uint8Array(new BigUint64Array([BigInt(soft), BigInt(hard)]).buffer));
  draft.steps.push({ kind: "syscall", call: "prlimit64", args: [0, which, value, 0] });
}
