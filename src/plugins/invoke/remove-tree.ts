// Removes folders that a task filled as it liked: without rights, nested beyond any path's length, with names that are no text, or
// with millions of files. Links are removed, never followed. What takes long is done in portions, out of the way.
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";

/** Entries removed in one go; a task's folder has far fewer, and the event loop waits some ten milliseconds at most. */
const portion = 2000;
const trashName = ".trash";
const moveTries = 5;
/** Names are bytes: as text, one that is not UTF-8 would name something else. */
type Path = string | Buffer;

/** Removes a folder of `root`, or of one below. It is gone from its place when this returns; a large rest is removed afterwards.
 * `onStuck` is told once, of what cannot be removed. */
export function removeTree(root: string, path: string, onStuck: OnStuck = () => undefined): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const trash = join(root, trashName);
  attempt(() => allow(dirname(path)));
  attempt(() => allow(path));
  moveInto(trash, path);
  emptyPortion({ trash, stuck: new Set(), onStuck });
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
export function emptyTrash(root: string, onStuck: OnStuck = () => undefined): void {
  if (existsSync(join(root, trashName))) emptyPortion({ trash: join(root, trashName), stuck: new Set(), onStuck });
}

/** `left`: so many entries of the trash. */
export type OnStuck = (trash: string, left: number) => void;

let count = 0;
function freshName(trash: string): string {
  for (;;) {
    count += 1;
    const name = join(trash, `${process.pid}-${count}`);
    if (lstatSync(name, { throwIfNoEntry: false }) === undefined) return name;
  }
}

/** `stuck`: names in the trash, as hex, that nothing more is tried with. */
type Emptying = { trash: string; stuck: Set<string>; onStuck: OnStuck };

/** Where folders are flat, nothing is deeper than two: a folder inside another one is moved beside it before that one is removed.
 * What cannot be removed stays, for the next start to try again, and the trash with it. */
function emptyPortion(work: Emptying): void {
  const { trash, stuck, onStuck } = work;
  let left = portion;
  const next = () => list(trash).filter((name) => !stuck.has(name.toString("hex")));
  for (let names = next(); names.length > 0; names = next()) {
    for (const name of names) {
      if (left <= 0) return void setTimeout(() => emptyPortion(work), 0).unref();
      const { removed, tried } = emptyFolder(trash, inside(trash, name), left);
      if (removed === 0) stuck.add(name.toString("hex"));
      left -= Math.max(1, tried);
    }
  }
  const rest = list(trash).length;
  if (rest > 0) onStuck(trash, rest);
  else attempt(() => rmdirSync(trash));
}

/** How many entries it removed or moved, of how many that it tried. */
function emptyFolder(trash: string, folder: Path, most: number): { removed: number; tried: number } {
  if (!isFolder(folder)) return { removed: attempt(() => unlinkSync(folder)), tried: 1 };
  attempt(() => allow(folder));
  const names = list(folder);
  const some = names.slice(0, most);
  let removed = 0;
  for (const name of some) {
    const path = inside(folder, name);
    if (!isFolder(path)) removed += attempt(() => unlinkSync(path));
    else {
      attempt(() => allow(path));
      removed += attempt(() => renameSync(path, freshName(trash)));
    }
  }
  if (names.length <= most) removed += attempt(() => rmdirSync(folder));
  return { removed, tried: some.length + 1 };
}

const slash = Buffer.from("/");

function inside(folder: Path, name: Buffer): Buffer {
  return Buffer.concat([typeof folder === "string" ? Buffer.from(folder) : folder, slash, name]);
}

function isFolder(path: Path): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Only folders are changed, never what a link names: whoever could exchange one is gone. */
function allow(path: Path): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory() === true && (status.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
}

function list(path: Path): Buffer[] {
  try {
    return isFolder(path) ? readdirSync(path, { encoding: "buffer" }) : [];
  } catch {
    return [];
  }
}

/** 1 when it worked. What another process was faster with is listed no more. */
function attempt(work: () => void): number {
  try {
    work();
    return 1;
  } catch {
    return 0;
  }
}
