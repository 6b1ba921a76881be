// What a container executes when an image is the program: a plugin that is one, and core/docker.run.
import { isAbsolute } from "node:path";
import { fail, isObject, type JsonObject } from "../../base/index.ts";
import { placeBelow } from "./open-below.ts";
import type { ActionCall } from "./ports.ts";

/** The action that runs a container of any image. */
export const containerAction = "core/docker.run";

/** The program and its arguments in place of the image's own; null: the image's own. `cwd` null: the image's own. */
export type ImageCommand = { argv: string[] | null; cwd: string | null; env: Record<string, string> };

/** Whether the call runs a container because of its action, and is given no request on its standard input. */
export function isContainerRun(call: ActionCall): boolean {
  return call.action.action === containerAction;
}

/** What `core/docker.run` was asked for; its inputs were checked against its schema.
 * @throws TASK_INPUT_INVALID for a folder that leads out of the workspace */
export function imageCommand({ inputs, folders }: ActionCall): ImageCommand {
  return { argv: commandOf(inputs), cwd: cwdOf(inputs, folders), env: envOf(inputs) };
}

function commandOf({ command }: JsonObject): string[] | null {
  if (Array.isArray(command)) return command.map(String);
  return typeof command === "string" ? ["sh", "-c", command] : null;
}

/** Absolute in the container, else below the workspace. */
function cwdOf({ workdir }: JsonObject, { workspace, user }: ActionCall["folders"]): string | null {
  if (typeof workdir !== "string") return null;
  return isAbsolute(workdir) ? workdir : placeBelow(workspace, workdir, user);
}

function envOf({ env }: JsonObject): Record<string, string> {
  if (!isObject(env)) return {};
  const pairs = Object.entries(env).map(([name, value]) => [name, String(value)] as const);
  const bad = pairs.find(([name]) => name === "" || /[=\0]/.test(name));
  if (bad !== undefined) throw fail("TASK_INPUT_INVALID", `Cannot set the variable ${JSON.stringify(bad[0])}: it is no name`);
  return Object.fromEntries(pairs);
}
