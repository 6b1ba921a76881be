// What is executed for a call: a script, a plugin's entrypoint or a built-in action, where it starts and what it reads to run at all.
import { closeSync, openSync, readSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { fail, type JsonObject, sha256Hex } from "../../base/index.ts";
import { bunCommand, commandFor, type Shell } from "../runtimes/index.ts";
import { writeOwned } from "./files.ts";
import { isContainerRun } from "./image-command.ts";
import { placeBelow } from "./open-below.ts";
import type { ActionCall } from "./ports.ts";

export type TaskCommand = {
  argv: string[];
  /** What the program itself needs. */
  env: Record<string, string>;
  cwd: string;
  stdin: Uint8Array | null;
  /** Paths that the program needs to be read, beside what the action was granted. */
  read: string[];
  /** Where `$plugin` is. */
  plugin: string | null;
};

export type Runtime = { path(): Promise<string> };

const shells: readonly Shell[] = ["sh", "bash", "bun", "python3"];
const endings: Record<Shell, string> = { sh: "sh", bash: "sh", bun: "ts", python3: "py" };
const scriptAction = "core/shell.run";

/** Whether the call is one of a `run:` task. */
export function isScript(call: ActionCall): boolean {
  return call.action.action === scriptAction;
}

/** @throws TASK_INPUT_INVALID for a script that is none, or a `workdir:` outside the workspace */
export async function commandOf(call: ActionCall, runtime: Runtime): Promise<TaskCommand> {
  if (isScript(call)) return scriptCommand(call, runtime);
  const nothing = { argv: [], env: {}, read: [] };
  if (isContainerRun(call)) return { ...nothing, cwd: call.folders.workspace, stdin: null, plugin: null };
  const { plugin, action } = call.action;
  const stdin = Buffer.from(`${JSON.stringify(requestOf(call))}\n`);
  if (plugin === null) {
    const folder = await runtime.path();
    const name = action.slice(action.indexOf("/") + 1, action.lastIndexOf("."));
    return { ...bunWith(folder, join(folder, "actions", `${name}.js`)), cwd: folder, stdin, plugin: folder };
  }
  const { manifest, folder } = plugin;
  const [program = "", ...rest] = manifest.entrypoint;
  // The image is the program.
  if (manifest.runtime === "docker") return { ...nothing, cwd: folder, stdin, plugin: folder, read: [folder] };
  if (manifest.runtime === "bun") {
    const runtimeFolder = await runtime.path();
    const command = bunWith(runtimeFolder, resolve(folder, program));
    // Its streams are to be there before any module of the plugin takes hold of them.
    command.argv.splice(-1, 0, "--preload", join(runtimeFolder, "node_modules/autokestra/sdk.js"));
    return { ...command, cwd: folder, stdin, plugin: folder, read: [...command.read, folder] };
  }
  const isInFolder = program.includes("/") && !isAbsolute(program);
  const argv = isInFolder ? withInterpreter(resolve(folder, program), rest) : [program, ...rest];
  return { argv, env: {}, cwd: folder, stdin, plugin: folder, read: [folder] };
}

const headBytes = 256;

/** A file that begins with `#!/usr/bin/env NAME` starts two programs, of which a plugin without `run` may start one: NAME is started itself. */
function withInterpreter(path: string, rest: readonly string[]): string[] {
  const head = new Uint8Array(headBytes);
  const file = openSync(path, "r");
  try {
    readSync(file, head, 0, headBytes, 0);
  } finally {
    closeSync(file);
  }
  const [, name] = /^#!\s*\/usr\/bin\/env\s+([\w.+-]+)[ \t]*\n/.exec(Buffer.from(head).toString("latin1")) ?? [];
  return name === undefined ? [path, ...rest] : [name, path, ...rest];
}

function bunWith(runtimeFolder: string, file: string): Pick<TaskCommand, "argv" | "env" | "read"> {
  const { argv, env } = bunCommand(file);
  const [program = ""] = argv;
  return { argv, env: { ...env, NODE_PATH: join(runtimeFolder, "node_modules") }, read: [program, runtimeFolder] };
}

async function scriptCommand(call: ActionCall, runtime: Runtime): Promise<TaskCommand> {
  const { script, shell: asked = "sh" } = call.inputs;
  const { workspace, workdir, user } = call.folders;
  const shell = shells.find((known) => known === asked);
  if (typeof script !== "string") throw fail("TASK_INPUT_INVALID", "Cannot run a script: inputs.script is not text");
  if (shell === undefined) throw fail("TASK_INPUT_INVALID", `Cannot run a script with shell "${String(asked)}": it is none of ${shells.join(", ")}`);
  const path = join(workdir, `script.${endings[shell]}`);
  writeOwned(path, script, call.folders);
  const command = shell === "bun" ? bunWith(await runtime.path(), path) : { ...commandFor(shell, path), read: [] };
  return { ...command, cwd: placeBelow(workspace, call.workdir, user), stdin: null, plugin: null };
}

/** The one line of the protocol. */
export function requestOf(call: ActionCall): JsonObject {
  const { executionId, task, itemIndex, attempt, deadlineAt, folders, inputs, action } = call;
  return {
    protocol: 1,
    action: action.action,
    input: inputs,
    context: {
      execution_id: executionId,
      task_id: task,
      attempt,
      workdir: folders.workdir,
      deadline: deadlineAt === null ? null : new Date(deadlineAt).toISOString(),
      // The same for every attempt: what it guards must happen once, however often it is tried.
      idempotency_key: sha256Hex(JSON.stringify([executionId, task, itemIndex])),
    },
  };
}
