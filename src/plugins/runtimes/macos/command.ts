// The command line of a confined task: a shell sets the limits, hands itself over to sandbox-exec, and that to the program.
// Pure. Everything that is not ours is an argument, never part of a script's text.

import { fail } from "../../../base/index.ts";
import type { Confinement } from "../../sandbox/index.ts";
import type { MacProfile } from "./profile.ts";

/** Where the system's programs are; never looked up by PATH. */
export type MacTools = { sandboxExec: string; shell: string; ps: string; launchctl: string };
export const macTools: MacTools = {
  sandboxExec: "/usr/bin/sandbox-exec",
  shell: "/bin/sh",
  ps: "/bin/ps",
  launchctl: "/bin/launchctl",
};

/** Hard limits of this process, which it cannot raise; null: none. */
export type Ceilings = { cpuSeconds: number | null; openFiles: number | null; fileBlocks: number | null };

export type MacCommand = { tools: MacTools; ceilings: Ceilings; profile: MacProfile; limits: Confinement["limits"]; argv: readonly string[] };

/** Of `ulimit -f`, by the standard. Where the shell counts in twice as much the limit is twice as high; the watchdog measures the disk. */
const blockBytes = 512;
/** A limit that cannot be set ends the start: nothing runs without it. */
const prelude = [
  "set -e",
  "ulimit -c 0",
  '[ "$1" = - ] || ulimit -t "$1"',
  '[ "$2" = - ] || ulimit -n "$2"',
  '[ "$3" = - ] || ulimit -f "$3"',
  "shift 3",
  'exec "$@"',
].join("\n");

/** Variables that the loader, the C library and the shell heed before the sandbox is closed. */
const unsafeName = /^(?:DYLD_|LIBDISPATCH_|Malloc|OBJC_|OS_ACTIVITY_|XPC_|BASH_FUNC_)|^(?:ASL_DISABLE|BASHOPTS|BASH_ENV|ENV|SHELLOPTS)$/;

/** @throws TASK_INPUT_INVALID for a variable that would act outside of the sandbox */
export function checkMacEnvironment(env: Readonly<Record<string, string>>): void {
  const name = Object.keys(env).find((one) => unsafeName.test(one));
  if (name === undefined) return;
  throw fail("TASK_INPUT_INVALID", `Cannot start a process: the variable ${name} is heeded before the sandbox is closed`, {
    details: { name },
    hint: "Set it in the script.",
  });
}

/** `argv[0]` is the absolute path of the program. The shell is privileged, so that it takes no functions from the environment. */
export function macCommand({ tools, ceilings, profile, limits, argv }: MacCommand): string[] {
  const blocks = limits.fileBytes === null ? null : Math.ceil(limits.fileBytes / blockBytes);
  const numbers = [lower(limits.cpuSeconds, ceilings.cpuSeconds), lower(limits.openFiles, ceilings.openFiles), lower(blocks, ceilings.fileBlocks)];
  const parameters = Object.entries(profile.parameters).flatMap(([name, value]) => ["-D", `${name}=${value}`]);
  return [tools.shell, "-p", "-c", prelude, "task-keeper", ...numbers, tools.sandboxExec, ...parameters, "-p", profile.profile, "--", ...argv];
}

/** The wish where it is allowed, as an argument of the prelude. */
function lower(wish: number | null, ceiling: number | null): string {
  if (wish === null) return "-";
  return String(Math.max(0, Math.ceil(ceiling === null ? wish : Math.min(wish, ceiling))));
}

/** What prints the ceilings; no variables, no arguments. */
export const ceilingScript = "ulimit -H -t; ulimit -H -n; ulimit -H -f";

/** @throws SANDBOX_UNAVAILABLE when the shell did not answer */
export function parseCeilings(text: string): Ceilings {
  const lines = text.trim().split("\n");
  if (lines.length !== 3 || !lines.every((line) => /^(?:\d+|unlimited)$/.test(line))) {
    throw fail("SANDBOX_UNAVAILABLE", "Cannot confine tasks: the shell does not tell the limits of this process");
  }
  const [cpuSeconds = null, openFiles = null, fileBlocks = null] = lines.map((line) => (line === "unlimited" ? null : Number(line)));
  return { cpuSeconds, openFiles, fileBlocks };
}
