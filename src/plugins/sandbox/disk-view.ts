// What the plan compiler has to know of the disk, looked up before it: which paths exist, which are folders, and which
// ancestors the task's user could not pass. The compiler itself touches nothing.

import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Stats } from "node:fs";
import type { Confinement } from "./confinement.ts";
import { masksOf, outermost } from "./masks.ts";
import type { Mask } from "./masks.ts";
import { isBelow } from "./paths.ts";
import type { ViewedPath } from "./paths.ts";
import { devicePaths, programPaths, settingPaths } from "./system-paths.ts";
import { readNames } from "./user-names.ts";
import type { NameFile } from "./user-names.ts";

export type DiskView = {
  programs: readonly ViewedPath[];
  settings: readonly ViewedPath[];
  devices: readonly ViewedPath[];
  read: readonly ViewedPath[];
  write: readonly ViewedPath[];
  /** Topmost folders above granted paths that the task's user may not enter. */
  closed: readonly string[];
  /** Folders inside of granted ones that are covered: the engine's own, and those that the task's user may not enter. */
  masks: readonly Mask[];
  /** Folders whose names have to be there. */
  passed: readonly string[];
  /** The machine's lists of users and groups, for a task whose user is not in them. */
  names: readonly NameFile[];
};

type SystemView = Pick<DiskView, "programs" | "settings" | "devices" | "names">;
/** What changes when one of the system's paths comes or goes, or when a user does. */
const systemMarks = [...new Set([...programPaths, ...settingPaths].map((path) => dirname(path))), "/etc/passwd", "/etc/group"];
let system: { view: SystemView; marks: string } | null = null;

/** The next view looks at everything anew. */
export function forgetSystemView(): void {
  system = null;
}

/** Looks up the granted paths each time, and the system's when their folders have changed; those that do not exist are left out.
 * `needed` are files that the start of the task reads, beside what is granted. */
export function viewDisk(confinement: Confinement, needed: readonly string[]): DiskView {
  const { names, ...seen } = currentSystem();
  const all = { read: view([...confinement.read, ...needed]), write: view(confinement.write) };
  const write = outermost(all.write);
  const read = outermost(all.read).filter(({ path }) => !isBelowAny(path, write));
  const { user, hidden = [], passed = [] } = confinement;
  const outer = outermost([...read, ...write]);
  const closed = user === null ? [] : [...new Set(outer.flatMap(({ path }) => closedAncestor(path, { user, above: "/" }) ?? []))];
  const folders = view(hidden).flatMap(({ path, isFolder }) => (isFolder ? [path] : []));
  const masks = masksOf([...folders, ...(user === null ? [] : closedInside(all, outer, user))], all);
  return { ...seen, read, write, closed, masks, passed: passed.filter(isThere), names: user === null ? [] : names };
}

/** Folders in a granted one, above another granted path, that the user could not pass. Where the task may write it can open its own ones itself. */
function closedInside(all: Pick<DiskView, "read" | "write">, outer: readonly ViewedPath[], user: User): string[] {
  return [...all.read, ...all.write].flatMap(({ path }) => {
    const above = outer.find((one) => one.path !== path && isBelow(path, one.path))?.path;
    const closed = above === undefined ? null : closedAncestor(path, { user, above });
    return closed === null || isBelowAny(closed, all.write) ? [] : [closed];
  });
}

function currentSystem(): SystemView {
  const marks = systemMarks.map(readMark).join();
  if (system?.marks !== marks) {
    const settings = viewSystem(settingPaths);
    const names = (["passwd", "group"] as const).flatMap((kind) => realPath(`/etc/${kind}`).map((path) => readNames(kind, path)));
    system = { view: { programs: viewSystem(programPaths), settings, devices: viewSystem(devicePaths), names }, marks };
  }
  return system.view;
}

function readMark(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? "" : `${stats.ino}.${stats.mtimeMs}`;
}

function isBelowAny(path: string, folders: readonly ViewedPath[]): boolean {
  return folders.some((folder) => isBelow(path, folder.path));
}

function view(paths: readonly string[]): ViewedPath[] {
  return paths.flatMap((path) => {
    const stats = stat(path);
    return stats === null ? [] : [{ path, isFolder: stats.isDirectory() }];
  });
}

/** The system's own links (/bin, /lib64) may be followed: only the administrator makes them. */
function viewSystem(paths: readonly string[]): ViewedPath[] {
  return outermost(view([...new Set(paths.flatMap(realPath))]));
}

function realPath(path: string): string[] {
  try {
    return [realpathSync(path)];
  } catch {
    return [];
  }
}

type User = { uid: number; gid: number };

/** The topmost folder above a path, and below another one, that the user may not pass: not one that it has closed itself. */
function closedAncestor(path: string, { user, above }: { user: User; above: string }): string | null {
  let closed: string | null = null;
  for (let folder = dirname(path); folder !== above && folder !== "/"; folder = dirname(folder)) {
    const stats = stat(folder);
    if (stats !== null && stats.uid !== user.uid && !canPass(stats, user)) closed = folder;
  }
  return closed;
}

function isThere(path: string): boolean {
  return stat(path)?.isDirectory() === true;
}

/** Of what belongs to somebody else. */
function canPass(stats: Stats, user: User): boolean {
  const bit = stats.gid === user.gid ? 0o010 : 0o001;
  return (stats.mode & bit) !== 0;
}

/** Of the path itself: one that is a link is a link for the launcher too, which follows none. */
function stat(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // below a folder that the engine may not enter
  }
}
