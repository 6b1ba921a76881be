// The folders a task stands in: one workspace per execution, one fresh work folder per attempt; and reading back from them
// without following what the task may have planted.
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { fail } from "../base/index.ts";

/** A file in an execution's folder: sweeping leaves that folder alone. */
const keepMark = "keep";

export type AttemptFolders = { workspace: string; workdir: string };

/** Folder names come from ids that were checked: a UUID, a task id, a number. */
export class Workspaces {
  readonly #root: string;
  /** The workspaces made or found by this process: who removes and makes one again has another. */
  readonly #known = new Map<string, { dev: number; ino: number }>();

  /** `root`: absolute, private to the engine. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Folders for one attempt. @throws TASK_INPUT_INVALID when an earlier task put something else in place of one */
  open(executionId: string, attempt: { task: string; itemIndex: number | null; attempt: number }): AttemptFolders {
    const base = join(this.#root, executionId);
    const workspace = join(base, "workspace");
    const workdir = join(base, "attempts", `${attempt.task}-${attempt.itemIndex ?? 0}-${attempt.attempt}`);
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    makeFolder(base);
    const wasMade = makeFolder(workspace);
    this.#recognise(executionId, workspace, wasMade);
    makeFolder(join(base, "attempts"));
    removeTree(workdir);
    mkdirSync(workdir, { mode: 0o700 });
    return { workspace, workdir };
  }

  #recognise(executionId: string, workspace: string, wasMade: boolean): void {
    const { dev, ino } = lstatSync(workspace);
    const known = wasMade ? undefined : this.#known.get(executionId);
    if (known !== undefined && (known.dev !== dev || known.ino !== ino)) throw replaced("another folder");
    this.#known.set(executionId, { dev, ino });
  }

  closeAttempt(folders: AttemptFolders): void {
    removeTree(folders.workdir);
  }

  /** Removes the execution's folder, unless it is marked. */
  close(executionId: string): void {
    this.#known.delete(executionId);
    const base = join(this.#root, executionId);
    if (!existsSync(join(base, keepMark))) removeTree(base);
  }

  /** Marks the execution's folder as one that stays, whichever process ends the execution. */
  keep(executionId: string): void {
    const base = join(this.#root, executionId);
    mkdirSync(base, { recursive: true, mode: 0o700 });
    writeFileSync(join(base, keepMark), "");
  }

  /** Executions that have a folder here which nobody asked to keep. */
  list(): string[] {
    if (!existsSync(this.#root)) return [];
    return readdirSync(this.#root).filter((id) => !existsSync(join(this.#root, id, keepMark)));
  }
}

/** Makes a folder that is missing, and says so; what is there must be a folder itself, since a link would lead the next task elsewhere. */
function makeFolder(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) mkdirSync(path, { mode: 0o700 });
  else if (!found.isDirectory()) throw replaced(found.isSymbolicLink() ? "a link" : "a file");
  return found === undefined;
}

function replaced(by: string) {
  const hint = "Write into $WORKSPACE, and leave the folder itself where it is.";
  return fail("TASK_INPUT_INVALID", `Cannot start in the workspace: an earlier task put ${by} in its place`, { hint });
}

/** Removes a folder with all in it, also where the task took its own rights away. Links are removed, never followed. */
function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    openFolders(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function openFolders(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  chmodSync(path, 0o700);
  for (const name of readdirSync(path)) openFolders(join(path, name));
}

/** A task's `workdir:` below its workspace, made when it is missing. @throws TASK_INPUT_INVALID when it leads out, also through a link */
export function placeBelow(workspace: string, workdir: string | null): string {
  if (workdir === null) return workspace;
  const inside = relative(workspace, resolve(workspace, workdir));
  if (isAbsolute(workdir) || !isInside(inside)) throw leadsOut(workdir);
  const root = realpathSync(workspace);
  let at = root;
  for (const name of inside.split("/").filter((part) => part !== "")) {
    const next = join(at, name);
    if (lstatSync(next, { throwIfNoEntry: false }) === undefined) mkdirSync(next, { mode: 0o700 });
    at = realOf(next, workdir);
    if (!isInside(relative(root, at)) || !lstatSync(at).isDirectory()) throw leadsOut(workdir);
  }
  return at;
}

/** An earlier task may have planted a link that leads nowhere, or to itself. */
function realOf(path: string, workdir: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw leadsOut(workdir);
  }
}

function isInside(path: string): boolean {
  return path !== ".." && !path.startsWith("../") && !isAbsolute(path);
}

function leadsOut(workdir: string) {
  return fail("TASK_INPUT_INVALID", `Cannot start in "${workdir}": it is no folder below the workspace`);
}

/**
 * The bytes of a regular file that the task wrote into its folder, null when it is missing or empty. Nothing is followed or waited for.
 * @throws PLUGIN_OUTPUT_INVALID when something else stands there, or it is too large; `as` names the file for people
 */
export function readBack(folder: string, file: { name: string; as: string }, bytesMax: number): Uint8Array | null {
  const place = lstatSync(folder, { throwIfNoEntry: false });
  if (place === undefined) return null;
  if (!place.isDirectory()) throw unreadable(file.as, "the task replaced the folder that it stands in");
  const handle = openPlain(folder, file);
  if (handle === null) return null;
  try {
    const status = fstatSync(handle);
    if (!status.isFile()) throw unreadable(file.as, "it is no plain file");
    if (status.size === 0) return null;
    if (status.size > bytesMax) throw unreadable(file.as, `its ${status.size} bytes are more than ${bytesMax}`, { bytes: status.size, bytesMax });
    const bytes = new Uint8Array(status.size);
    const count = readSync(handle, bytes, 0, bytes.byteLength, 0);
    return bytes.subarray(0, count);
  } finally {
    closeSync(handle);
  }
}

function openPlain(folder: string, file: { name: string; as: string }): number | null {
  try {
    return openSync(join(folder, file.name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === "ENOENT") return null;
    throw unreadable(file.as, code === "ELOOP" ? "it is a link" : `it cannot be opened (${String(code)})`);
  }
}

function unreadable(as: string, why: string, details?: Record<string, unknown>) {
  return fail("PLUGIN_OUTPUT_INVALID", `Cannot read ${as}: ${why}`, details === undefined ? {} : { details });
}
