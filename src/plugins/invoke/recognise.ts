// Denials that the kernel does not report: found in what a failed task wrote last, and believed only where they fit what it was granted.
import { accessSync, constants, lstatSync, type Stats, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, normalize, resolve } from "node:path";
import { type DeniedOperation, isWithin } from "../../model/index.ts";
import { programPaths, settingPaths } from "../sandbox/index.ts";
import { realPath } from "./real-path.ts";
import { recogniseHosts } from "./recognise-hosts.ts";
import { isRefusal, type PathMention, pathsIn } from "./refusal-lines.ts";
import { isOfKernel, isPlainlyThere, seenPath } from "./seen-path.ts";
import type { TaskUser } from "./task-user.ts";

export type Granted = {
  /** Real paths. */
  read: readonly string[];
  write: readonly string[];
  /** Folders that no tree around them gives. */
  hidden: readonly string[];
  network: readonly string[];
  /** Where relative paths in the output start; `bare`: those that begin with a name, where that is elsewhere. */
  cwd: string;
  bare?: string;
  /** Null: the engine's own. */
  user: TaskUser | null;
};

/** `line`: where it was found, by its index. `isNever`: no grant would allow it. */
export type Recognised = DeniedOperation & { line: number; isNever: boolean };

const foundMax = 64;

/** What the lines tell of, the latest first, each once. `inputs`: where the port of a host that has none in the output is looked up. */
export function recogniseDenials(lines: readonly string[], granted: Granted, inputs: string): Recognised[] {
  const files = lines.flatMap((line, index) => {
    const denied = isRefusal(line) ? recogniseFile(line, granted) : null;
    if (denied === null) return [];
    // Nor is one process given another one's entries below /proc.
    return [{ ...denied, line: index, isNever: isWithin(["/proc"], denied.target) }];
  });
  const hosts = recogniseHosts(lines, granted.network, inputs).map((one) => ({ ...one, isNever: false }));
  const found = [...files.toReversed(), ...hosts].slice(0, foundMax);
  const seen = new Set<string>();
  return found.filter(({ rule, target }) => {
    const key = `${rule} ${target}`;
    return seen.has(key) ? false : Boolean(seen.add(key));
  });
}

function recogniseFile(line: string, granted: Granted): DeniedOperation | null {
  for (const mention of pathsIn(line)) {
    const denied = judgePath(mention, granted);
    if (denied !== null) return denied;
  }
  return null;
}

/** `target`: as it is told. `real`: what was looked at, for what this is allowed. */
type Located = { target: string; real: string; isThere: boolean };

/** What a mention stands for on the disk, null when it only looks like a path. */
function locate({ text, isSure, isMarked, isMissing, use }: PathMention, { cwd, bare = cwd, read, write }: Granted): Located | null {
  const spelled = isAbsolute(text) ? normalize(text) : resolve(text.startsWith(".") ? cwd : bare, text);
  const target = seenPath(spelled, [...read, ...write]);
  if (isOfKernel(target))
    return isMissing || !(isWithin(["/proc"], target) || isPlainlyThere(target)) ? null : { target, real: target, isThere: true };
  const isThere = entryAt(spelled) !== null;
  const whole = realPath(spelled);
  const parent = realPath(dirname(spelled));
  if (whole === null && parent === null) return null;
  if (!isThere && !isSure && !(isMarked && (use === "write" || use === "create"))) return null;
  return { target, real: whole ?? join(parent ?? "/", basename(spelled)), isThere };
}

function judgePath(mention: PathMention, granted: Granted): DeniedOperation | null {
  const { use, isMissing } = mention;
  const found = locate(mention, granted);
  if (found === null || isGiven(granted.write, found.real, granted.hidden)) return null;
  const { target, real, isThere } = found;
  const mayRead = isGiven([...granted.read, ...programPaths, ...settingPaths], real, granted.hidden);
  // What is missing really is missing, unless it is there for us, or was to be made in a folder that is there for us.
  if (isMissing && !isThere && (mayRead || use !== "create")) return null;
  if (mayRead && use !== "write" && use !== "create") {
    // The words of a read or a start that the sandbox does not refuse, or those of the file's own modes.
    if (isMissing || use === "read" || isRefusedByModes(real, mention, granted.user)) return null;
  }
  const isWrite = use === "write" || use === "create" || !isThere || mayRead;
  return { kind: "filesystem", target, rule: isWrite ? "filesystem.write" : "filesystem.read", isNew: !isThere };
}

/** Whether one of the trees holds the path, and no hidden folder comes between. */
function isGiven(trees: readonly string[], path: string, hidden: readonly string[]): boolean {
  const covers = hidden.filter((folder) => isWithin([folder], path));
  return trees.some((tree) => isWithin([tree], path) && covers.every((folder) => tree !== folder && isWithin([folder], tree)));
}

/** Whether the user could not read it, or not start it, sandbox or not. */
function isRefusedByModes(target: string, { isOfShell }: PathMention, user: TaskUser | null): boolean {
  const status = statOf(target);
  if (status === null) return false;
  const mayStart = !isOfShell || status.isDirectory() || allows(status, target, { user, right: 1 });
  return !mayStart || !allows(status, target, { user, right: 4 });
}

function allows({ uid, gid, mode }: Stats, path: string, { user, right }: { user: TaskUser | null; right: 1 | 4 }): boolean {
  if (user !== null) return ((mode >> (uid === user.uid ? 6 : gid === user.gid ? 3 : 0)) & right) !== 0;
  try {
    accessSync(path, right === 1 ? constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

/** Also a link that leads nowhere. */
function entryAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // below something that is no folder
  }
}
