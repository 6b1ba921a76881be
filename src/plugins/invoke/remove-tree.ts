// Removes folders that a task filled as it liked: without rights, nested beyond any path's length, or with millions of files.
// Links are removed, never followed. What takes long is done in portions, out of the way.
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";

/** Entries removed in one go; a task's folder has far fewer, and the event loop waits some ten milliseconds at most. */
const portion = 2000;
const trashName = ".trash";
const moveTries = 5;

/** Removes a folder of `root`, or of one below. It is gone from its place when this returns; a large rest is removed afterwards. */
export function removeTree(root: string, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const trash = join(root, trashName);
  attempt(() => allow(dirname(path)));
  attempt(() => allow(path));
  moveInto(trash, path);
  emptyPortion(trash);
}

/** Another process may remove the trash, when it is empty, between the two steps. */
function moveInto(trash: string, path: string, tries = moveTries): void {
  mkdirSync(trash, { recursive: true, mode: 0o700 });
  try {
    renameSync(path, freshName(trash));
  } catch (cause) {
    if (tries <= 1 || existsSync(trash)) throw cause;
    moveInto(trash, path, tries - 1);
  }
}

/** Goes on with what an earlier process left in the trash. */
export function emptyTrash(root: string): void {
  if (existsSync(join(root, trashName))) emptyPortion(join(root, trashName));
}

let count = 0;
function freshName(trash: string): string {
  for (;;) {
    count += 1;
    const name = join(trash, `${process.pid}-${count}`);
    if (lstatSync(name, { throwIfNoEntry: false }) === undefined) return name;
  }
}

/** Where folders are flat, nothing is deeper than two: a folder inside another one is moved beside it before that one is removed.
 * What cannot be removed stays, for the next start to try again, and the trash with it. */
function emptyPortion(trash: string): void {
  let left = portion;
  const stuck = new Set<string>();
  const next = () => list(trash).filter((name) => !stuck.has(name));
  for (let names = next(); names.length > 0; names = next()) {
    for (const name of names) {
      if (left <= 0) return void setTimeout(() => emptyPortion(trash), 0).unref();
      const taken = emptyFolder(trash, join(trash, name), left);
      if (taken === 0) stuck.add(name);
      left -= Math.max(1, taken);
    }
  }
  attempt(() => rmdirSync(trash));
}

/** Returns how many entries it removed or moved. */
function emptyFolder(trash: string, folder: string, most: number): number {
  if (!isFolder(folder)) return attempt(() => unlinkSync(folder));
  attempt(() => allow(folder));
  const names = list(folder).slice(0, most + 1);
  let taken = 0;
  for (const name of names.slice(0, most)) {
    const path = join(folder, name);
    if (!isFolder(path)) taken += attempt(() => unlinkSync(path));
    else {
      attempt(() => allow(path));
      taken += attempt(() => renameSync(path, freshName(trash)));
    }
  }
  return taken + (names.length <= most ? attempt(() => rmdirSync(folder)) : 0);
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Only folders are changed, never what a link names: whoever could exchange one is gone. */
function allow(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory() === true && (status.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
}

function list(path: string): string[] {
  try {
    return isFolder(path) ? readdirSync(path) : [];
  } catch {
    return [];
  }
}

/** 1 when it worked, or when another process was faster. */
function attempt(work: () => void): number {
  try {
    work();
    return 1;
  } catch (cause) {
    return (cause as { code?: string }).code === "ENOENT" ? 1 : 0;
  }
}
