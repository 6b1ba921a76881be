// The folders a task stands in: one workspace per execution, one fresh work folder per attempt; and reading back from them
// without following what the task may have planted.
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { fail } from "../base/index.ts";

export type AttemptFolders = { workspace: string; workdir: string };

/** Folder names come from ids that were checked: a UUID, a task id, a number. */
export class Workspaces {
  readonly #root: string;

  /** `root`: absolute, private to the engine. */
  constructor(root: string) {
    this.#root = root;
  }

  open(executionId: string, attempt: { task: string; itemIndex: number | null; attempt: number }): AttemptFolders {
    const base = join(this.#root, executionId);
    const workspace = join(base, "workspace");
    const workdir = join(base, "attempts", `${attempt.task}-${attempt.itemIndex ?? 0}-${attempt.attempt}`);
    mkdirSync(workspace, { recursive: true, mode: 0o700 });
    rmSync(workdir, { recursive: true, force: true });
    mkdirSync(workdir, { recursive: true, mode: 0o700 });
    return { workspace, workdir };
  }

  closeAttempt(folders: AttemptFolders): void {
    rmSync(folders.workdir, { recursive: true, force: true });
  }

  close(executionId: string): void {
    rmSync(join(this.#root, executionId), { recursive: true, force: true });
  }
}

/** A task's `workdir:` below its workspace, made when it is missing. @throws TASK_INPUT_INVALID when it leads out */
export function placeBelow(workspace: string, workdir: string | null): string {
  if (workdir === null) return workspace;
  const path = resolve(workspace, workdir);
  const inside = relative(workspace, path);
  if (isAbsolute(workdir) || inside.startsWith("..") || isAbsolute(inside))
    throw fail("TASK_INPUT_INVALID", `Cannot start in "${workdir}": it is not below the workspace`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** The bytes of a regular file that the task wrote, null when there is none. Links are not followed. @throws TOO_LARGE */
export function readBack(path: string, bytesMax: number): Uint8Array | null {
  let handle: number;
  try {
    handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const status = fstatSync(handle);
    if (!status.isFile() || status.size === 0) return null;
    if (status.size > bytesMax) throw fail("TOO_LARGE", `Cannot read what the task wrote: ${status.size} bytes are more than ${bytesMax}`);
    const bytes = new Uint8Array(status.size);
    const count = readSync(handle, bytes, 0, bytes.byteLength, 0);
    return bytes.subarray(0, count);
  } finally {
    closeSync(handle);
  }
}
