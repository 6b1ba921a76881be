// The limits of one attempt: the smallest that anybody names, else the default; never above what a machine can mean.
import { limits } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import type { EffectivePermissions } from "./effective.ts";

/** The members of a block that bound an attempt, and grant nothing. */
export const limitKeys = ["memoryMb", "cpuSeconds", "processes", "openFiles", "diskMb", "outputBytes"] as const;
export type LimitKey = (typeof limitKeys)[number];
export type AttemptLimits = Pick<EffectivePermissions, LimitKey>;

const { defaults, most } = limits.attempt;

export function decideLimits(blocks: readonly (Permissions | undefined)[]): AttemptLimits {
  const smallest = (key: LimitKey): number | null => {
    const named = blocks.map((block) => block?.[key]).filter((value) => value !== undefined);
    return named.length === 0 ? defaults[key] : Math.min(...named, most[key]);
  };
  return {
    memoryMb: smallest("memoryMb") ?? defaults.memoryMb,
    cpuSeconds: smallest("cpuSeconds"),
    processes: smallest("processes") ?? defaults.processes,
    openFiles: smallest("openFiles") ?? defaults.openFiles,
    diskMb: smallest("diskMb") ?? defaults.diskMb,
    outputBytes: smallest("outputBytes") ?? defaults.outputBytes,
  };
}
