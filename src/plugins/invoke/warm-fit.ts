// Which calls a warm worker may serve, and which of them may share one. Pure.
import { sha256Hex } from "../../base/index.ts";
import type { EffectivePermissions } from "../../model/index.ts";
import type { TaskCommand } from "./command.ts";
import type { ResolvedPaths } from "./confine.ts";
import type { ActionCall } from "./ports.ts";

/** What a worker is made of. Two calls share one only when all of it is equal. */
export type WarmSpec = {
  key: string;
  /** Workers of this key at most. */
  most: number;
  command: TaskCommand;
  /** The worker's own places and its network come between the two. */
  env: { base: Record<string, string>; given: Record<string, string> };
  permissions: EffectivePermissions;
  /** For the start of a worker: what its grants mean on the disk. */
  resolve: () => ResolvedPaths;
  isEnforced: boolean;
  /** Whether it becomes a user of its own. */
  ownsUser: boolean;
  graceMs: number;
};

/**
 * Whether a worker that outlives the call can serve it. What belongs to one execution (its workspace, handed-in files, its user
 * where the task writes beside others), and what the kernel counts or holds for a process's whole life (CPU time, ports that are
 * listened on), makes the call start cold.
 */
export function isWarmable({ action, runtime, sandbox, inputs, permissions, folders }: ActionCall): boolean {
  const { plugin } = action;
  if (plugin === null || plugin.manifest.keepWarm === 0 || plugin.manifest.runtime === "docker") return false;
  if (runtime !== "process" || sandbox === "observe" || inputs["files"] !== undefined) return false;
  if (permissions.cpuSeconds !== null || permissions.listen.length > 0) return false;
  const { read, write } = permissions.filesystem;
  const ofExecution = [...read, ...write].some((entry) => entry.startsWith("$") && !["$plugin", "$workdir"].includes(placeOf(entry)));
  return !ofExecution && (folders.user === null || write.every(isInWorkdir));
}

/** A call's own folder is always writable: as a grant it says nothing more. */
export function isInWorkdir(entry: string): boolean {
  return placeOf(entry) === "$workdir";
}

function placeOf(entry: string): string {
  return entry.split("/", 1)[0] ?? "";
}

/** What names the execution or the attempt; each call's request tells it instead. */
const ofOneCall = new Set(["HOME", "TMPDIR", "WORKFLOW_OUTPUT", "WORKFLOW_RESULT", "WORKFLOW_EXECUTION_ID"]);

export type WarmParts = {
  command: TaskCommand;
  /** Real paths of the grants. */
  paths: Pick<ResolvedPaths, "read" | "write">;
  resolve: () => ResolvedPaths;
  base: Record<string, string>;
};

/** `base`: the environment that every task gets. To be asked for warmable calls only. */
export function warmSpec(call: ActionCall, { command, paths, resolve, base }: WarmParts): WarmSpec {
  const { action, workflow, permissions, folders, graceMs } = call;
  const env = {
    base: Object.fromEntries(Object.entries(base).filter(([name]) => !ofOneCall.has(name))),
    given: { ...call.env, ...command.env },
  };
  const isEnforced = call.sandbox === "enforce";
  const ownsUser = folders.user !== null;
  const { argv, cwd, read } = command;
  const plugin = [action.plugin?.sha256, action.plugin?.folder];
  const granted = [...identityOf(permissions), paths.read.toSorted(), paths.write.toSorted()];
  // Built for each call: texts in a fixed order are as good as canonical ones, and cost a fifth.
  const identity = [workflow, plugin, argv, cwd, read, listOf(env.base), listOf(env.given), granted, isEnforced, ownsUser];
  const key = sha256Hex(JSON.stringify(identity));
  return { key, most: action.plugin?.manifest.keepWarm ?? 0, command, env, permissions, resolve, isEnforced, ownsUser, graceMs };
}

function listOf(env: Record<string, string>): string[] {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .toSorted();
}

/** Grants are sets. */
function identityOf(permissions: EffectivePermissions): unknown[] {
  const { network, filesystem, env, run, listen, memoryMb, cpuSeconds, processes, openFiles, diskMb, outputBytes } = permissions;
  const lists = [network, filesystem.read, filesystem.write, env].map((list) => list.toSorted());
  return [...lists, run, listen, memoryMb, cpuSeconds, processes, openFiles, diskMb, outputBytes];
}
