// Folders inside of granted ones that a task must not see, or could not pass: which they are, and the part of the plan that covers them.

import { dirname } from "node:path";
import { fail } from "../../base/index.ts";
import { isBelow } from "./paths.ts";
import type { ViewedPath } from "./paths.ts";

/** A folder that is covered, with the only paths in it that are granted themselves. `pins`: the folders from the granted one down to it,
 * where that one may be written: mounted on themselves they cannot be renamed, which would bring the folder out of its cover. */
export type Mask = { folder: string; pins: readonly string[]; read: readonly ViewedPath[]; write: readonly ViewedPath[] };

export type Granted = { read: readonly ViewedPath[]; write: readonly ViewedPath[] };

/** `folders`: what is to be covered; those that lie in no granted path are left out, since nobody reaches them. */
export function masksOf(folders: readonly string[], granted: Granted): Mask[] {
  const all = [...granted.read, ...granted.write];
  const inside = folders.filter((folder) => all.some(({ path }) => isBelow(folder, path)));
  const outer = [...new Set(inside)].filter((folder) => !inside.some((other) => other !== folder && isBelow(folder, other)));
  return outer.map((folder) => {
    const write = outermost(granted.write.filter(({ path }) => isOwn(path, folder)));
    const read = outermost(granted.read.filter(({ path }) => isOwn(path, folder) && !write.some((other) => isBelow(path, other.path))));
    const [above] = outermost(granted.write.filter(({ path }) => isBelow(folder, path)));
    return { folder, pins: above === undefined ? [] : foldersBetween(above.path, folder), read, write };
  });
}

/** Not the folder itself. */
function isOwn(path: string, folder: string): boolean {
  return path !== folder && isBelow(path, folder);
}

/** From the top down, without both ends. */
function foldersBetween(top: string, folder: string): string[] {
  const found: string[] = [];
  for (let at = dirname(folder); at !== top && at !== "/"; at = dirname(at)) found.unshift(at);
  return found;
}

/** Without what lies below another one, shortest first. */
export function outermost(paths: readonly ViewedPath[]): ViewedPath[] {
  const kept: ViewedPath[] = [];
  for (const path of paths.toSorted((a, b) => a.path.length - b.path.length)) {
    if (!kept.some((other) => isBelow(path.path, other.path))) kept.push(path);
  }
  return kept;
}

/** Landlock alone can take nothing out of a granted tree.
 * @throws PERMISSION_DENIED where there are masks and no mounts to hold them */
export function requireMounts(masks: readonly Mask[], granted: Granted): void {
  const [mask] = masks;
  if (mask === undefined) return;
  const isWrite = granted.write.some(({ path }) => isBelow(mask.folder, path));
  const rule = isWrite ? "filesystem.write" : "filesystem.read";
  throw fail("PERMISSION_DENIED", `Cannot start a task: what it is granted contains the engine's own folder "${mask.folder}"`, {
    details: { kind: "filesystem", target: mask.folder, rule, grant: null },
    hint: "Grant narrower paths, or move the data folder out of what is granted (--data, AUTOKESTRA_HOME): without the mounts layer it cannot be hidden.",
  });
}
