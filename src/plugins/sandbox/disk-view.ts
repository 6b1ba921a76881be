// What the plan compiler has to know of the disk, looked up before it: which paths exist, which are folders, and which
// ancestors the task's user could not pass. The compiler itself touches nothing.

import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Stats } from "node:fs";
import type { Confinement } from "./confinement.ts";
import { devicePaths, programPaths, settingPaths } from "./system-paths.ts";

export type ViewedPath = { path: string; isFolder: boolean };

export type DiskView = {
  programs: readonly ViewedPath[];
  settings: readonly ViewedPath[];
  devices: readonly ViewedPath[];
  read: readonly ViewedPath[];
  write: readonly ViewedPath[];
  /** Topmost folders above granted paths that the task's user may not enter. */
  closed: readonly string[];
};

type SystemView = Pick<DiskView, "programs" | "settings" | "devices">;
let system: SystemView | null = null;

/** Looks up the system's paths once, and the granted ones each time; those that do not exist are left out. `needed` are
 * files that the start of the task reads, beside what is granted. */
export function viewDisk(confinement: Confinement, needed: readonly string[]): DiskView {
  system ??= { programs: viewSystem(programPaths), settings: viewSystem(settingPaths), devices: viewSystem(devicePaths) };
  const write = outermost(view(confinement.write));
  const read = outermost(view([...confinement.read, ...needed])).filter(({ path }) => !isBelowAny(path, write));
  const { user } = confinement;
  const granted = [...read, ...write].map(({ path }) => path);
  const closed = user === null ? [] : [...new Set(granted.flatMap((path) => closedAncestor(path, user) ?? []))];
  return { ...system, read, write, closed };
}

/** Whether a path is the folder or lies below it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}

function isBelowAny(path: string, folders: readonly ViewedPath[]): boolean {
  return folders.some((folder) => isBelow(path, folder.path));
}

/** Without what lies below another one, shortest first. */
function outermost(paths: readonly ViewedPath[]): ViewedPath[] {
  const kept: ViewedPath[] = [];
  for (const path of paths.toSorted((a, b) => a.path.length - b.path.length)) if (!isBelowAny(path.path, kept)) kept.push(path);
  return kept;
}

function view(paths: readonly string[]): ViewedPath[] {
  return paths.flatMap((path) => {
    const stats = stat(path);
    return stats === null ? [] : [{ path, isFolder: stats.isDirectory() }];
  });
}

/** The system's own links (/bin, /lib64) may be followed: only the administrator makes them. */
function viewSystem(paths: readonly string[]): ViewedPath[] {
  const real = paths.flatMap((path) => {
    try {
      return [realpathSync(path)];
    } catch {
      return [];
    }
  });
  return outermost(view([...new Set(real)]));
}

function closedAncestor(path: string, user: { uid: number; gid: number }): string | null {
  let closed: string | null = null;
  for (let folder = dirname(path); folder !== "/"; folder = dirname(folder)) {
    const stats = stat(folder);
    if (stats !== null && !canPass(stats, user)) closed = folder;
  }
  return closed;
}

function canPass(stats: Stats, user: { uid: number; gid: number }): boolean {
  const bit = stats.uid === user.uid ? 0o100 : stats.gid === user.gid ? 0o010 : 0o001;
  return (stats.mode & bit) !== 0;
}

function stat(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // below a folder that the engine may not enter
  }
}
