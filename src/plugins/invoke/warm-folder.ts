// Where warm workers write: a folder for each worker, in it one for the call that runs. A worker lives while the engine clears up
// behind a call, so that everything is walked by descriptors and nothing in it is ever followed.
import { closeSync, constants, existsSync, lchownSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { renameSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeTree } from "./remove-tree.ts";
import { ownUser, type TaskUser } from "./task-user.ts";

export type WarmFolderDeps = {
  /** The folder of all executions' folders; worker folders go below `.warm` in it. */
  root: string;
  /** This process, and whether another one that left folders is gone. */
  owner: string;
  isDead: (owner: string) => boolean;
  randomBytes: (count: number) => Uint8Array;
};

export type WorkerFolder = { path: string; user: TaskUser | null };

const ownerSuffix = ".owner";
const nameBytes = 12;
/** What one call may leave to be cleared away in passing; beyond it its worker goes with it. */
const entriesMax = 256;
const depthMax = 8;

/** The folders of this process's workers. Nothing is made before the first. */
export class WarmFolders {
  readonly #deps: WarmFolderDeps;
  readonly #base: string;
  #own: string | null = null;

  constructor(deps: WarmFolderDeps) {
    this.#deps = deps;
    this.#base = join(deps.root, ".warm");
    this.#sweep();
  }

  /** A new empty folder. `ownsUser`: it belongs to a user that nothing else is, where one can be had. */
  make({ ownsUser }: { ownsUser: boolean }): WorkerFolder {
    this.#own ??= this.#open();
    const name = this.#name();
    const path = join(this.#own, name);
    mkdirSync(path, { mode: 0o700 });
    const user = ownsUser ? ownUser(`warm ${name}`) : null;
    if (user !== null) lchownSync(path, user.uid, user.gid);
    return { path, user };
  }

  /** When its worker is gone. */
  remove({ path }: WorkerFolder): void {
    removeTree(this.#deps.root, path);
  }

  close(): void {
    if (this.#own === null) return;
    removeTree(this.#deps.root, this.#own);
    unlinkSync(`${this.#own}${ownerSuffix}`);
    this.#own = null;
  }

  #name(): string {
    return Buffer.from(this.#deps.randomBytes(nameBytes)).toString("hex");
  }

  #open(): string {
    mkdirSync(this.#base, { recursive: true, mode: 0o700 });
    const own = join(this.#base, this.#name());
    // Before the folder, so that none is without an owner.
    writeFileSync(`${own}${ownerSuffix}`, this.#deps.owner, { mode: 0o600 });
    mkdirSync(own, { mode: 0o700 });
    return own;
  }

  /** Folders of processes that were killed. */
  #sweep(): void {
    if (!existsSync(this.#base)) return;
    for (const name of readdirSync(this.#base).filter((one) => one.endsWith(ownerSuffix))) {
      const mark = join(this.#base, name);
      try {
        if (!this.#deps.isDead(readFileSync(mark, "utf8"))) continue;
        removeTree(this.#deps.root, mark.slice(0, -ownerSuffix.length));
        unlinkSync(mark);
      } catch {
        // Another process swept it at the same time.
      }
    }
  }
}

/** The fresh folder of one call in its worker's. @throws what the file system says, when the worker put something in its place */
export function makeCallFolder({ path, user }: WorkerFolder, call: number): string {
  const folder = join(path, `call-${call}`);
  mkdirSync(folder, { mode: 0o700 });
  if (user !== null) lchownSync(folder, user.uid, user.gid);
  return folder;
}

/** Whether a worker's folder holds nothing but the call's, and that one is a folder and empty. */
export function isUntouched(path: string, callFolder: string): boolean {
  try {
    const names = readdirSync(path);
    return names.length === 1 && lstatSync(callFolder).isDirectory() && readdirSync(callFolder).length === 0;
  } catch {
    return false;
  }
}

/** Removes everything in a worker's folder while the worker lives; false when something is left, or there was too much of it. */
export function clearFolder(path: string): boolean {
  try {
    return emptyFolder(path, { entries: entriesMax }, 0);
  } catch {
    return false;
  }
}

/** A folder is held open while it is emptied: what is put in its place meanwhile is not entered. */
function emptyFolder(path: string, left: { entries: number }, depth: number): boolean {
  if (process.platform !== "linux") return false; // the descriptor's own path is what makes it safe
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const at = `/proc/self/fd/${handle}`;
    for (const name of readdirSync(at)) {
      left.entries -= 1;
      if (left.entries < 0) return false;
      const inside = `${at}/${name}`;
      if (lstatSync(inside, { throwIfNoEntry: false })?.isDirectory() !== true) unlinkSync(inside);
      else if (!isEmptied(inside, left, depth)) return false;
    }
    return true;
  } finally {
    closeSync(handle);
  }
}

function isEmptied(path: string, left: { entries: number }, depth: number): boolean {
  try {
    rmdirSync(path); // most are empty
    return true;
  } catch {
    if (depth >= depthMax || !emptyFolder(path, left, depth + 1)) return false;
    rmdirSync(path);
    return true;
  }
}

/** Whether a call left files that become artifacts. */
export function hasLeft(folder: string): boolean {
  return lstatSync(join(folder, "out"), { throwIfNoEntry: false }) !== undefined;
}

/** Puts what a call left in place of the attempt's own, empty folder. To be called when the worker is gone. */
export function takeCallFolder(folder: string, workdir: string): void {
  // A link in its place would lead the harvest elsewhere.
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  rmdirSync(workdir);
  renameSync(folder, workdir);
}
