// Granted write paths that do not exist yet: made before a task starts, and removed after it where it left them untouched. Nothing but
// what the entry names is made and opened; folders are walked by descriptors, so that no link put there meanwhile is followed.
import { closeSync, constants, fchownSync, fstatSync, futimesSync, lstatSync, mkdirSync, openSync, rmdirSync, unlinkSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { inFolder, isInside } from "./open-below.ts";
import { realPath } from "./real-path.ts";
import type { TaskUser } from "./task-user.ts";

/** Folders that are made above one path. */
const betweenMax = 16;
/** What is made looks this much older than it is, so that any use of it changes its time, however soon it comes. */
const ageSeconds = 10;

/** What stands for a path that is missing: the real path it would have, and what is missing above it. */
export type Missing = { path: string; folder: string; between: string[] };

/** Where a missing path would be made, null when that is no place for one. `trees`: real paths that are granted for writing anyway,
 * below which folders may be made on the way. */
export function findMissing(spelled: string, trees: readonly string[]): Missing | null {
  if (isThere(spelled)) return null; // a link that leads nowhere
  const between: string[] = [];
  let at = dirname(spelled);
  let folder = realPath(at);
  for (; folder === null && at !== "/" && between.length < betweenMax; folder = realPath(at)) {
    if (isThere(at)) return null;
    between.unshift(basename(at));
    at = dirname(at);
  }
  if (folder === null || !lstatSync(folder).isDirectory()) return null;
  const start = folder;
  const isCovered = trees.some((tree) => isInside(relative(tree, start)));
  if (between.length > 0 && !isCovered) return null;
  return { path: join(start, ...between, basename(spelled)), folder: start, between };
}

/** Below something that is no folder nothing can be. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

type Kept = { path: string; dev: number; ino: number; mtimeMs: number; isFolder: boolean };
type Shared = Kept & { users: number };

/** By real path, with how many attempts use each: two that run at once may be granted the same. */
const made = new Map<string, Shared>();

/** What one attempt made, or found made for another one that runs. */
export class GrantedPaths {
  readonly #user: TaskUser | null;
  readonly #held: string[] = [];

  constructor(user: TaskUser | null) {
    this.#user = user;
  }

  /** Real paths that are empty because they were made. */
  get paths(): string[] {
    return this.#held.filter((path) => made.has(path));
  }

  /** Uses a path that is there, which may have been made for another attempt. */
  hold(path: string): void {
    const known = made.get(path);
    if (known === undefined || this.#held.includes(path)) return;
    known.users += 1;
    this.#held.push(path);
  }

  /** Makes it. @throws what the file system says */
  make({ folder, between, path }: Missing, { isFolder }: { isFolder: boolean }): void {
    let at = folder;
    for (const name of [...between, basename(path)]) {
      const isLast = join(at, name) === path;
      this.#makeOne(at, name, isFolder || !isLast);
      at = join(at, name);
    }
  }

  #makeOne(folder: string, name: string, isFolder: boolean): void {
    const path = join(folder, name);
    const kept = inFolder("/", folder.split("/").filter(Boolean), (at) => {
      if (isFolder) mkdirSync(at(name));
      const flags = isFolder ? constants.O_RDONLY | constants.O_DIRECTORY : constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
      const handle = openSync(at(name), flags | constants.O_NOFOLLOW, 0o666);
      try {
        if (this.#user !== null) fchownSync(handle, this.#user.uid, this.#user.gid);
        const time = Math.floor(fstatSync(handle).mtimeMs / 1000) - ageSeconds;
        futimesSync(handle, time, time);
        const { dev, ino, mtimeMs } = fstatSync(handle);
        return { path, dev, ino, mtimeMs, isFolder };
      } finally {
        closeSync(handle);
      }
    });
    made.set(path, { ...kept, users: 1 });
    this.#held.push(path);
  }

  /** To be called when nothing of the attempt runs any more: what nobody touched goes, the innermost first. */
  close(): void {
    for (const path of this.#held.splice(0).toReversed()) {
      const known = made.get(path);
      if (known === undefined) continue;
      known.users -= 1;
      if (known.users > 0) continue;
      made.delete(path);
      remove(known);
    }
  }
}

function remove({ path, dev, ino, mtimeMs, isFolder }: Kept): void {
  try {
    inFolder("/", dirname(path).split("/").filter(Boolean), (at) => {
      const name = at(basename(path));
      const status = lstatSync(name, { throwIfNoEntry: false });
      if (status === undefined || status.dev !== dev || status.ino !== ino) return;
      // A folder's time also changes with what was made in it and is gone again, such as other paths of this kind: it has to be empty.
      if (isFolder) rmdirSync(name);
      else if (status.size === 0 && status.mtimeMs === mtimeMs) unlinkSync(name);
    });
  } catch {
    // It is used now, or is not ours to remove any more.
  }
}
