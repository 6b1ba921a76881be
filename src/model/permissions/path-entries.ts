// Filesystem entries: absolute, relative to the workflow's folder, or below a place such as $workspace. Texts only: links are
// resolved by who opens the paths.
import { posix } from "node:path";

const placeNames = ["$workspace", "$workdir", "$input", "$plugin", "$worktree"];

/** Parts without empty ones and dots; a final slash says nothing. */
function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

/** Why a filesystem entry is malformed, `relative` when it needs the workflow's folder, null when it is well-formed. */
export function findPathProblem(entry: string): { relative: boolean; problem: string | null } {
  if (entry.includes("\0")) return { relative: false, problem: "holds a NUL" };
  const [first = "", ...rest] = partsOf(entry);
  if (entry.startsWith("$")) {
    if (!placeNames.includes(first)) return { relative: false, problem: `starts with ${first}, which is none of ${placeNames.join(", ")}` };
    return { relative: false, problem: rest.includes("..") ? `leaves ${first} with ..; name the path itself` : null };
  }
  if (entry.startsWith("~")) return { relative: false, problem: "starts with ~, which is not expanded" };
  // Where links are on the way, `a/../b` is not `b`; only the way up from the workflow's folder is clear.
  const relative = !entry.startsWith("/");
  const parts = partsOf(entry);
  const down = relative ? parts.slice(parts.findIndex((part) => part !== "..")) : parts;
  const isUpOnly = relative && parts.every((part) => part === "..");
  return { relative, problem: !isUpOnly && down.includes("..") ? "holds .. behind a name; name the path itself" : null };
}

/** `/`, a place, or "" for the workflow's folder; then the parts below it. With the folder, relative entries are absolute ones. */
function readPath(entry: string, folder: string | null): { root: string; parts: string[] } {
  if (entry.startsWith("$")) {
    const [root = "", ...parts] = partsOf(entry);
    return { root, parts };
  }
  if (entry.startsWith("/")) return { root: "/", parts: partsOf(entry) };
  return folder === null ? { root: "", parts: partsOf(entry) } : { root: "/", parts: partsOf(posix.join(folder, entry)) };
}

/** Whether `entry` is `grant` or lies below it. `folder`: the workflow's, absolute; without it relative entries cover relative ones only. */
export function coversPath(grant: string, entry: string, folder: string | null = null): boolean {
  const wide = readPath(grant, folder);
  const narrow = readPath(entry, folder);
  if (wide.root !== narrow.root || wide.parts.length > narrow.parts.length) return false;
  return wide.parts.every((part, index) => part === narrow.parts[index]) && !narrow.parts.slice(wide.parts.length).includes("..");
}

/** Whether an absolute path is one of the trees or lies in one. */
export function isWithin(trees: readonly string[], path: string): boolean {
  return trees.some((tree) => coversPath(tree, path));
}
