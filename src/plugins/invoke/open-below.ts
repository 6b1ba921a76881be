// Paths below a folder that other tasks may change meanwhile: walked by descriptors, so that no link planted in between is followed.
import { closeSync, constants, lchownSync, lstatSync, mkdirSync, openSync, realpathSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import type { TaskUser } from "./task-user.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** O_PATH, which Linux has: folders may be passed that nobody may list. */
const passing = (process.platform === "linux" ? 0o10000000 : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW;

/** Opens a file by its path below `root` for reading; a link anywhere on the way is refused. @throws what the file system says, ELOOP or ENOTDIR for a link */
export function openBelow(root: string, inside: string): number {
  const parts = inside.split("/").filter((part) => part !== "");
  const name = parts.pop() ?? ".";
  return inFolder(root, parts, (at) => openSync(at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
}

/** Opens one folder after the other and works in the last; `at` names what is in it. */
export function inFolder<T>(root: string, parts: readonly string[], work: (at: (name: string) => string) => T): T {
  let path = root;
  let folder = openSync(root, passing);
  // Without /proc a path has to do: there such a folder is not shared with another user.
  const at = (name: string) => (process.platform === "linux" ? `/proc/self/fd/${folder}/${name}` : join(path, name));
  try {
    for (const part of parts) {
      const next = openSync(at(part), passing);
      closeSync(folder);
      folder = next;
      path = join(path, part);
    }
    return work(at);
  } finally {
    closeSync(folder);
  }
}

/** A task's `workdir:` below its workspace, made when it is missing. @throws TASK_INPUT_INVALID when it leads out, also through a link */
export function placeBelow(workspace: string, workdir: string | null, user: TaskUser | null = null): string {
  if (workdir === null) return workspace;
  const inside = relative(workspace, resolve(workspace, workdir));
  if (isAbsolute(workdir) || !isInside(inside)) throw leadsOut(workdir);
  const root = realpathSync(workspace);
  let at = root;
  try {
    for (const name of inside.split("/").filter((part) => part !== "")) at = enter(root, at, { name, user });
  } catch {
    // A link that leads nowhere, to itself or out; a file; something that was exchanged at this moment.
    throw leadsOut(workdir);
  }
  return at;
}

/** The real path of a folder in a folder, made when it is missing. @throws when it is none below the root */
function enter(root: string, folder: string, { name, user }: { name: string; user: TaskUser | null }): string {
  const parts = relative(root, folder)
    .split("/")
    .filter((part) => part !== "");
  const isLink = inFolder(root, parts, (at) => {
    const status = lstatSync(at(name), { throwIfNoEntry: false });
    if (status === undefined) {
      mkdirSync(at(name), { mode: 0o700 });
      if (user !== null) lchownSync(at(name), user.uid, user.gid);
    }
    return status?.isSymbolicLink() === true;
  });
  const real = isLink ? realpathSync(join(folder, name)) : join(folder, name);
  if (!isInside(relative(root, real)) || !lstatSync(real).isDirectory()) throw leadsOut(name);
  return real;
}

/** Whether a relative path stays below where it starts. */
export function isInside(path: string): boolean {
  return path !== ".." && !path.startsWith("../") && !isAbsolute(path);
}

function leadsOut(workdir: string) {
  return fail("TASK_INPUT_INVALID", `Cannot start in "${workdir}": it is no folder below the workspace`);
}
