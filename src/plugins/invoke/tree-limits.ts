// The limits of an attempt as they are counted over its whole process tree: by the watchdog, and by a control group where one is worth it.
import { limits } from "../../base/index.ts";
import type { EffectivePermissions } from "../../model/index.ts";
import type { Cgroup, Cgroups } from "../runtimes/index.ts";

export const bytesPerMb = 1024 * 1024;

/** Below the supervisor: what keeps the task. */
const keepers = 2;

type Limited = Pick<EffectivePermissions, "memoryMb" | "processes">;
type TreeLimits = { memoryBytes: number; processes: number };

/** Of what runs below the supervisor. */
export function treeLimits({ memoryMb, processes }: Limited): TreeLimits {
  return { memoryBytes: memoryMb * bytesPerMb, processes: processes + keepers };
}

/** Whether a confined attempt is put into a control group, where there is a place for one. It costs 0.3 to 0.7 ms (measured), an eighth of
 * a task's start: for the usual limits the watchdog has to do. */
export function wantsGroup({ memoryMb, processes }: Limited): boolean {
  const { defaults } = limits.attempt;
  return memoryMb !== defaults.memoryMb || processes !== defaults.processes;
}

/** The attempt's group, null where it needs none or none can be made. The supervisor is in it too. */
export function openGroup(cgroups: Pick<Cgroups, "open"> | undefined, permissions: Limited): Cgroup | null {
  if (!wantsGroup(permissions)) return null;
  const { memoryBytes, processes } = treeLimits(permissions);
  return cgroups?.open({ memoryBytes, processes: processes + 1 }) ?? null;
}
