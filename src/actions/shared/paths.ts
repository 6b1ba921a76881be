// Where a path of an action's input lies: absolute, `./` in the workflow's folder, `$place/…`, or bare: in the
// workspace where the task has one, else in the workflow's folder.
import { isAbsolute, join, normalize, relative } from "node:path";
import { fail } from "../../base/index.ts";

const places: Record<string, () => string | undefined> = {
  $workspace: () => process.env["WORKSPACE"],
  $workdir: () => process.env["TMPDIR"],
  $input: () => join(process.env["TMPDIR"] ?? "", "in"),
};

function placeOf(name: string, path: string): string {
  const folder = places[name]?.();
  if (folder !== undefined) return folder;
  const hint = name === "$workspace" ? 'Grant it: filesystem: { read: ["$workspace"] }, or write.' : "Use $workspace, $workdir or $input.";
  throw fail("TASK_INPUT_INVALID", `Cannot use the path "${path}": this task has no ${name}`, { details: { path }, hint });
}

/** Where bare paths start: null where the task has neither a workspace nor the folder of a workflow. What it asks for was decided alike. */
function bareFolder(): string | null {
  return process.env["WORKSPACE"] ?? process.env["WORKFLOW_DIR"] ?? null;
}

/** The absolute path that an input names; the folder of bare paths where it names none. @throws TASK_INPUT_INVALID for a place that the
 * task does not have */
export function resolvePath(path: string | undefined): string {
  if (path === undefined) return bareFolder() ?? placeOf("$workspace", ".");
  if (path.includes("\0")) throw fail("TASK_INPUT_INVALID", "Cannot use a path: it holds a NUL byte");
  if (isAbsolute(path)) return normalize(path);
  const [first = "", ...rest] = path.split("/");
  if (first.startsWith("$")) return join(placeOf(first, path), ...rest);
  if (first !== "." && first !== "..") return join(bareFolder() ?? placeOf("$workspace", path), path);
  const folder = process.env["WORKFLOW_DIR"];
  if (folder === undefined) throw fail("TASK_INPUT_INVALID", `Cannot use the path "${path}": this workflow has no folder`, { details: { path } });
  return join(folder, path);
}

/** An absolute path as people wrote its neighbours: relative to the workspace where it lies in there. */
export function showPath(path: string): string {
  const workspace = process.env["WORKSPACE"];
  if (workspace === undefined) return path;
  const inside = relative(workspace, path);
  return inside !== "" && !inside.startsWith("..") && !isAbsolute(inside) ? inside : path;
}
