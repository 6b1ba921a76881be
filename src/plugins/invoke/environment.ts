// The environment of a task, built from empty: nothing of the server's own reaches it but what was granted by name.
import { fail } from "../../base/index.ts";
import type { ActionCall } from "./ports.ts";
import { realPath } from "./real-path.ts";
import { join } from "node:path";

/** Linux takes 32 pages for one string (MAX_ARG_STRLEN), and for all of them a quarter of the stack's limit, 2 MiB by default. */
const variableBytesMax = 128 * 1024;
const environmentBytesMax = 1024 * 1024;

/** With these Bun lives below a memory limit, with its compiler on (docs/decisions). */
const memorySettings = {
  BUN_JSC_jitMemoryReservationSize: "67108864",
  BUN_JSC_structureHeapSizeInKB: "131072",
  MIMALLOC_ARENA_RESERVE: "65536",
};

/** What every task gets. `hasWorkspace`: a `run:` task, or one that was granted $workspace. `isBun`: its program is this binary's Bun. */
export function baseEnvironment(call: ActionCall, { hasWorkspace, isBun }: { hasWorkspace: boolean; isBun: boolean }): Record<string, string> {
  const { workdir, workspace } = call.folders;
  const env: Record<string, string> = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: workdir,
    TMPDIR: workdir,
    WORKFLOW_OUTPUT: join(workdir, "output"),
    WORKFLOW_RESULT: join(workdir, "result.json"),
    WORKFLOW_EXECUTION_ID: call.executionId,
    LANG: "C.UTF-8",
  };
  if (hasWorkspace) env["WORKSPACE"] = workspace;
  if (call.folder !== null) env["WORKFLOW_DIR"] = realPath(call.folder) ?? call.folder;
  return isBun && call.sandbox === "enforce" && call.runtime === "process" ? { ...env, ...memorySettings } : env;
}

/** The kernel would say only that all of it is too long. @throws TASK_INPUT_INVALID naming the variable */
export function checkSizes(argv: readonly string[], env: Record<string, string>): void {
  // Each string ends with a NUL, and a variable has an equals sign.
  const sizes = Object.entries(env).map(([name, value]) => ({ name, bytes: Buffer.byteLength(name) + Buffer.byteLength(value) + 2 }));
  const [largest = { name: "", bytes: 0 }] = sizes.toSorted((a, b) => b.bytes - a.bytes);
  const total = argv.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0) + sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const hint = "Pass large values in a file, such as one in $WORKSPACE.";
  const details = { variable: largest.name, bytes: largest.bytes };
  const refuse = (what: string) => fail("TASK_INPUT_INVALID", `Cannot run a script: ${what}`, { details, hint });
  if (largest.bytes > variableBytesMax) throw refuse(`the variable ${largest.name} takes ${largest.bytes} bytes, more than ${variableBytesMax}`);
  if (total > environmentBytesMax)
    throw refuse(`its environment takes ${total} bytes, more than ${environmentBytesMax}; the largest variable is ${largest.name}`);
}
