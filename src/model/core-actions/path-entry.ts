// How file-like built-ins spell paths, and the permission entry that a path implies: `./` ones lie in the workflow's folder, as in
// grants; bare ones in the workspace where that is granted, else in the workflow's folder too.
import type { RunGrants } from "../permissions/index.ts";
import type { Permissions } from "../workflow.ts";

/** Where bare paths of one attempt start. */
export type BareFolder = "$workspace" | ".";

/** How people are told of it, in descriptions of inputs. */
export const barePathRule = "Bare: in the workspace where $workspace is granted, else in the workflow's folder, as with ./";

/** Whether a text still holds an expression: nothing definite can be said of it. */
function isOpen(path: string): boolean {
  return path.includes("{{");
}

/** The permission entries that the given inputs imply; what is no path, or not known yet, implies none. */
export function pathEntries(paths: readonly unknown[], bare: BareFolder = "$workspace"): string[] {
  const texts = paths.flat().filter((path): path is string => typeof path === "string" && path !== "" && !isOpen(path));
  return [...new Set(texts.map((path) => (isBare(path) ? `${bare}/${path}` : path)))];
}

/** The entries of the folders that hold the given paths: who removes or renames something changes those. */
export function folderEntries(paths: readonly unknown[], bare?: BareFolder): string[] {
  const entries = pathEntries(paths, bare).map((entry) => entry.replace(/(?<=[^/])\/{1,64}$/, ""));
  return [...new Set(entries.map((entry) => (entry.includes("/") ? entry.slice(0, entry.lastIndexOf("/")) || "/" : entry)))];
}

function isBare(path: string): boolean {
  return !/^(?:\/|\$|\.\/|\.\.\/)/.test(path) && path !== "." && path !== "..";
}

/** `allow`: of one run; `folder`: the workflow's, absolute. */
export type BareGrants = { workflow: Permissions; allow?: RunGrants | null; folder?: string | null };

/**
 * Where an attempt's bare paths start: in the workspace when anything in it is granted, or when there is no folder of a workflow;
 * else in that folder. `asks`: what the attempt asks for when they start there; with everything granted it decides, since the
 * attempt then has a workspace exactly when it names it.
 */
export function bareFolderOf(asks: (bare: BareFolder) => Permissions | "everything", { workflow, allow, folder }: BareGrants): BareFolder {
  if (folder === undefined || folder === null) return "$workspace";
  if (namesWorkspace(workflow) || namesWorkspace(allow ?? {})) return "$workspace";
  if (allow?.all !== true) return ".";
  const asked = asks(".");
  return asked === "everything" || namesWorkspace(asked) ? "$workspace" : ".";
}

function namesWorkspace({ filesystem }: Pick<Permissions, "filesystem">): boolean {
  return [...(filesystem?.read ?? []), ...(filesystem?.write ?? [])].some((entry) => /^\$workspace(?:\/|$)/.test(entry));
}
