// Where the places that entries name lie for one attempt, and what its permissions then reach. Texts only: who passes real paths
// gets real answers.
import { posix } from "node:path";
import type { EffectivePermissions } from "./effective.ts";
import { isWithin } from "./path-entries.ts";

/** Absolute folders; null or absent where the attempt has none. `folder` is the workflow's ($WORKFLOW_DIR), which `./` starts from. */
export type TaskPlaces = {
  workspace?: string | null;
  workdir?: string | null;
  input?: string | null;
  plugin?: string | null;
  worktree?: string | null;
  folder?: string | null;
};

/** Where an entry lies, null when it names a place that the attempt does not have. */
export function resolveEntry(entry: string, places: TaskPlaces): string | null {
  if (entry.startsWith("/")) return posix.normalize(entry);
  const [first = "", ...rest] = entry.split("/");
  const known = new Map([
    ["$workspace", places.workspace],
    ["$workdir", places.workdir],
    ["$input", places.input],
    ["$plugin", places.plugin],
    ["$worktree", places.worktree],
  ]);
  const start = first.startsWith("$") ? known.get(first) : places.folder;
  if (start === undefined || start === null) return null;
  return first.startsWith("$") ? posix.join(start, ...rest) : posix.join(start, entry);
}

/** The absolute trees that the entries name, not looked up on the disk: links are the caller's to resolve. Write includes read. */
export function resolveEntries(effective: EffectivePermissions, places: TaskPlaces): { read: string[]; write: string[] } {
  const resolve = (entries: readonly string[]) => [...new Set(entries.map((entry) => resolveEntry(entry, places)).filter((path) => path !== null))];
  return { read: resolve(effective.filesystem.read), write: resolve(effective.filesystem.write) };
}

/**
 * Whether an absolute path lies within what an attempt may read or write: its work folder, what it was given, and the granted
 * entries. System folders, which every task may read, are not the permissions' matter.
 */
export function allowsPath(effective: EffectivePermissions, places: TaskPlaces, path: string, access: "read" | "write"): boolean {
  const { read, write } = resolveEntries(effective, places);
  const present = (folders: readonly (string | null | undefined)[]) => folders.filter((folder) => folder !== null && folder !== undefined);
  if (isWithin([...write, ...present([places.workdir])], path)) return true;
  return access === "read" && isWithin([...read, ...present([places.input, places.plugin])], path);
}
