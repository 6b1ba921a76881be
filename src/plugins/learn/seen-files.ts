// The files of one unenforced run: which of what a task opened, ran, made or removed needs a grant, and of what.
import { lstatSync, realpathSync, statSync } from "node:fs";
import { posix } from "node:path";
import { isWithin } from "../../model/index.ts";
import { programPaths, settingPaths } from "../sandbox/index.ts";
import type { Notice } from "../sandbox/index.ts";
import type { WatchedAttempt } from "./learn-log.ts";

export type FileFacts = {
  /** Absolute folder of the workflow's file. */
  folder: string | null;
  /** The engine's data folder, and the program itself. */
  dataDir: string;
  program: string;
  /** When the run began, in milliseconds: what is younger was made by it. */
  since: number;
};

/** Real absolute paths, and remarks for people. */
export type SeenFiles = {
  read: Set<string>;
  write: Set<string>;
  /** Entries that built-ins ask for, as they are spelled. */
  asked: { read: Set<string>; write: Set<string> };
  /** How a task that is no script uses the workspace. */
  usesWorkspace: "read" | "write" | null;
  /** Folders that need no grant, since only their names were read. */
  listed: Set<string>;
  notes: Set<string>;
};

export function noFiles(): SeenFiles {
  const asked = { read: new Set<string>(), write: new Set<string>() };
  return { read: new Set(), write: new Set(), asked, usesWorkspace: null, listed: new Set(), notes: new Set() };
}

/** Devices, and where the C library and Bun look by themselves; what is denied of it does them no harm. */
const harmless = ["/proc", "/sys", "/dev", "/etc/ld.so.preload", "/etc/resolv.conf", "/etc/locale.gen"];
const system: readonly string[] = [...programPaths, ...settingPaths, ...harmless];
/** Bun looks for these in the folders above a script. */
const lookedFor = /^(?:package\.json|[jt]sconfig\.json|bunfig\.toml|\.env(?:\..*)?|node_modules|bun\.lockb?|\.npmrc)$/;
/** Calls that change a folder rather than a file in it. */
const changesFolder = /^(?:mkdir|rmdir|unlink|rename|link|symlink|mknod)/;

export function isScript(attempt: WatchedAttempt): boolean {
  return attempt.action.action === "core/shell.run";
}

function runsBun({ action, inputs }: WatchedAttempt): boolean {
  if (action.plugin !== null) return action.plugin.manifest.runtime === "bun";
  return action.action === "core/shell.run" ? inputs["shell"] === "bun" : true;
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Gone, or never there: as it was spelled.
    return path;
  }
}

/** The spelled path and where it leads. */
function spellings(path: string): string[] {
  return [...new Set([path, realOf(path)])];
}

type Places = { work: string[]; workspace: string[]; plugin: string[]; runtime: string[]; data: string[] };

/** Takes what one attempt did with files into account. */
export function addFiles(into: SeenFiles, attempt: WatchedAttempt, facts: FileFacts): (notice: Notice) => void {
  const { folders, action } = attempt;
  // The folders of ended attempts are gone: their parent tells them too.
  const base = posix.dirname(folders.workspace);
  const places: Places = {
    workspace: spellings(folders.workspace),
    work: spellings(base),
    plugin: action.plugin === null ? [] : spellings(action.plugin.folder),
    runtime: spellings(posix.join(facts.dataDir, "runtime")),
    data: spellings(facts.dataDir),
  };
  return ({ kind, call, target, access }) => {
    if (target === null || !target.startsWith("/") || (kind !== "filesystem" && kind !== "run")) return;
    const isWrite = kind === "filesystem" && access === "write";
    const path = realOf(target);
    // `mkdir -p` tries every folder on the way; of one that is there it changes nothing, wherever that is.
    if (isWrite && call.startsWith("mkdir") && isOlder(path, facts.since)) return;
    if (placeInTask(into, { target, path, isWrite, attempt, places })) return;
    if (isWithin(places.data, path) && (isWrite || !isOnTheWay(path, places)))
      into.notes.add(`${attempt.task} touched the engine's own folder: ${path}`);
    else if (isWrite) addWrite(into, { path, call, since: facts.since });
    else if (path !== realOf(facts.program)) addRead(into, { path, places, isBun: runsBun(attempt) });
  };
}

type Placed = { target: string; path: string; isWrite: boolean; attempt: WatchedAttempt; places: Places };

/** Whether a path is of the system or of what every attempt has anyway. */
function placeInTask(into: SeenFiles, { target, path, isWrite, attempt, places }: Placed): boolean {
  const lies = (trees: readonly string[]) => isWithin(trees, target) || isWithin(trees, path);
  if (lies(places.workspace)) {
    if (!isScript(attempt)) into.usesWorkspace = isWrite ? "write" : (into.usesWorkspace ?? "read");
    return true;
  }
  if (lies(places.work)) return true;
  if (isWrite) {
    if (lies(places.plugin)) into.notes.add(`${attempt.task} writes into its plugin's folder, which is never writable: ${path}`);
    return lies(places.plugin) || lies(harmless);
  }
  return lies(places.plugin) || lies(places.runtime) || lies(system);
}

function addRead(into: SeenFiles, { path, places, isBun }: { path: string; places: Places; isBun: boolean }): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (isBun && isOnTheWay(posix.dirname(path), places) && lookedFor.test(posix.basename(path))) return;
  // A grant of it would open the whole tree, which a look at its names does not need.
  if (path === "/" || (isBun && isOnTheWay(path, places))) into.listed.add(path);
  else into.read.add(path);
}

/** Whether a folder is above one that the attempt has anyway. */
function isOnTheWay(path: string, { work, plugin }: Places): boolean {
  return [...work, ...plugin].some((place) => isWithin([path], place));
}

/** Whether what is there was there before the run. */
function isOlder(path: string, since: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  // Not every file system keeps the time of birth.
  return stat !== undefined && (stat.birthtimeMs || stat.ctimeMs) < since;
}

function addWrite(into: SeenFiles, { path, call, since }: { path: string; call: string; since: number }): void {
  const isOld = (at: string): boolean => isOlder(at, since);
  if (isOld(path) && !changesFolder.test(call)) return void into.write.add(path);
  // What is made or removed changes the folder it is in; one that the run made itself is made in another.
  let folder = posix.dirname(path);
  while (folder !== "/" && !isOld(folder)) folder = posix.dirname(folder);
  if (folder === "/") into.notes.add(`${path} lies in no folder that could be granted`);
  else into.write.add(folder);
}
