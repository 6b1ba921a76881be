// From what was decided about an attempt to what its process tree is confined to: places and links resolved, what is missing left out.
import { lstatSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { coversPath, type EffectivePermissions, resolveEntry, type TaskPlaces } from "../../model/index.ts";
import type { Confinement } from "../sandbox/index.ts";
import { findMissing, type GrantedPaths, type Missing } from "./granted-paths.ts";
import { isInside } from "./open-below.ts";
import { hasLinkOf, realPath } from "./real-path.ts";
import { isTaskUser } from "./task-user.ts";
import { bytesPerMb } from "./tree-limits.ts";

/** Entries of the workflow and of the run, before the action and the task narrowed them. */
export type GrantedEntries = { read: readonly string[]; write: readonly string[] };
/** The engine's data folder and its database file: no grant opens them. */
export type EnginePlaces = { data: string; store: string };
/** Whether a missing path is to be made as a folder; null: it is not to be made at all. */
export type KindOfMissing = (entry: string) => "file" | "folder" | null;

/** An entry that ends with a slash, or whose last name has no dot, means a folder. */
export function kindByName(entry: string): "file" | "folder" {
  return entry.endsWith("/") || !basename(entry).includes(".") ? "folder" : "file";
}

/** Paths are real; `left` are entries that give nothing, and why. `hidden`: folders that no grant opens, though it may contain them. `passed`:
 * folders that the spelling of a grant leads through. */
export type ResolvedPaths = { read: string[]; write: string[]; left: { entry: string; why: string }[]; hidden: string[]; passed: string[] };

export type ResolveRequest = {
  filesystem: EffectivePermissions["filesystem"];
  granted: GrantedEntries;
  places: TaskPlaces;
  engine: EnginePlaces;
  /** Makes what is missing of write grants; null: nothing is made. */
  make: { paths: GrantedPaths; kindOf: KindOfMissing } | null;
  /** Whether a missing entry is worth a word. */
  isTold: (entry: string) => boolean;
};

export function resolvePaths(request: ResolveRequest): ResolvedPaths {
  const out: ResolvedPaths = { read: [], write: [], left: [], hidden: hiddenFolders(request.engine), passed: passedFolders(request) };
  for (const kind of ["write", "read"] as const) {
    for (const entry of request.filesystem[kind]) {
      const found = resolveOne(entry, kind, request);
      if ("path" in found) out[kind].push(...withoutEngines(found.path, request.engine));
      else if (found.why !== missing || request.isTold(entry)) out.left.push({ entry, why: found.why });
    }
  }
  return { ...out, read: [...new Set(out.read)], write: [...new Set(out.write)] };
}

export const missing = "it does not exist";

/** Of a database elsewhere its folder. */
function hiddenFolders({ data, store }: EnginePlaces): string[] {
  return [...new Set([data, dirname(store)].flatMap((path) => realPath(path) ?? []))];
}

/** What the engine keeps in its data folder and beside its database. */
const ownNames = /^(?:admin\.key|server\.(?:json|log)|autokestra\.db|runtime|work|keys|blobs|plugins|atlases)(?:$|[.-])/;

/** Whether a path is the engine's own. People may keep files of theirs in the same folder. */
function isEngines(path: string, { data, store }: EnginePlaces): boolean {
  const database = realPath(store);
  // Beside the file itself stand those that SQLite makes for it.
  if (database !== null && path.startsWith(database)) return true;
  return hiddenFolders({ data, store }).some((folder) => isInside(relative(folder, path)) && ownNames.test(relative(folder, path)));
}

/** A granted path, or, where it is the folder that the engine keeps its own in, everything else in there. */
function withoutEngines(path: string, engine: EnginePlaces): string[] {
  if (!hiddenFolders(engine).includes(path)) return [path];
  return readdirSync(path)
    .map((name) => join(path, name))
    .filter((inside) => !isEngines(inside, engine) && !lstatSync(inside).isSymbolicLink());
}

/** The workflow's folder, and every folder before a `..`: scripts spell what they were granted like the grant. */
function passedFolders({ filesystem, places }: ResolveRequest): string[] {
  const { folder = null } = places;
  const ways = [...filesystem.read, ...filesystem.write].flatMap((entry) => {
    const parts = entry.startsWith("$") ? [] : entry.split("/");
    const start = entry.startsWith("/") ? "/" : folder;
    return start === null ? [] : parts.flatMap((part, index) => (part === ".." ? [resolve(start, ...parts.slice(0, index).filter(Boolean))] : []));
  });
  return [...new Set([...(folder === null ? [] : [folder]), ...ways].flatMap((path) => realPath(path) ?? []))];
}

function resolveOne(entry: string, kind: "read" | "write", request: ResolveRequest): { path: string } | { why: string } {
  const { places, granted } = request;
  const spelled = resolveEntry(entry, places);
  if (spelled === null) return { why: entry.startsWith("$") ? "the task has no such place" : "the workflow has no folder" };
  const real = realPath(spelled);
  const isOfPlace = entry.startsWith("$");
  if (!isOfPlace && hasLinkOf(spelled, isTaskUser)) return { why: "a link in it was made by a task" };
  const absent = real === null && kind === "write" ? missingOf(entry, spelled, request) : null;
  const path = real ?? absent?.path ?? null;
  if (path === null) return { why: missing };
  if (!isOfPlace && isEngines(path, request.engine)) return { why: "it is the engine's own" };
  // A link that some task put into a tree it may write must not widen what another one was granted.
  const roots = [...rootsOf(entry, places), ...coveringRoots(entry, granted, places)];
  if (roots.some((root) => !isInside(relative(root, path)))) return { why: "a link in it leads out of what was granted" };
  if (absent === null) request.make?.paths.hold(path);
  else if (!isMade(absent, entry, request)) return { why: "it does not exist and cannot be made" };
  return { path };
}

/** Where a missing path is to be made, null when it is not. */
function missingOf(entry: string, spelled: string, { make, places, granted, filesystem }: ResolveRequest): Missing | null {
  if (make === null || make.kindOf(entry) === null) return null;
  const write = { read: [], write: [...granted.write, ...filesystem.write] };
  return findMissing(spelled, coveringRoots(entry, write, places));
}

function isMade(absent: Missing, entry: string, { make }: ResolveRequest): boolean {
  try {
    make?.paths.make(absent, { isFolder: make.kindOf(entry) === "folder" });
    return true;
  } catch {
    return false;
  }
}

/** The real folder of the place that an entry starts with. */
function rootsOf(entry: string, places: TaskPlaces): string[] {
  const [first = ""] = entry.split("/", 1);
  const root = first.startsWith("$") ? resolveEntry(first, places) : null;
  const real = root === null ? null : realPath(root);
  return real === null ? [] : [real];
}

/** The real paths of all granted entries that are wider than the entry. */
function coveringRoots(entry: string, granted: GrantedEntries, places: TaskPlaces): string[] {
  const wider = [...granted.read, ...granted.write].filter((grant) => grant !== entry && coversPath(grant, entry, places.folder));
  return wider
    .map((grant) => resolveEntry(grant, places))
    .map((path) => (path === null ? null : realPath(path)))
    .filter((path) => path !== null);
}

export type ConfinementRequest = {
  permissions: EffectivePermissions;
  paths: ResolvedPaths;
  /** Real paths that the runtime itself needs. */
  runtime: { read: readonly string[]; write: readonly string[] };
  ports: readonly number[];
  user: Confinement["user"];
  mode: Confinement["mode"];
  /** `run:` tasks always may start programs. */
  mayRun: boolean;
  /** Whether the program is this binary's Bun. */
  isBun: boolean;
};

/** What Bun takes of its address space at its start, with the settings of its environment, and never touches: 289 MB, measured. Below it
 * does not start; what is really used is the watchdog's to count. */
const bunReservedBytes = 320 * bytesPerMb;

export function confine({ permissions, paths, runtime, ports, user, mode, mayRun, isBun }: ConfinementRequest): Confinement {
  const { memoryMb, cpuSeconds, processes, openFiles, diskMb, listen } = permissions;
  return {
    mode,
    user,
    read: [...new Set([...runtime.read, ...paths.read])],
    write: [...new Set([...runtime.write, ...paths.write])],
    hidden: paths.hidden,
    passed: paths.passed,
    connect: ports,
    listen,
    run: mayRun || permissions.run,
    limits: { memoryBytes: memoryMb * bytesPerMb + (isBun ? bunReservedBytes : 0), cpuSeconds, processes, openFiles, fileBytes: diskMb * bytesPerMb },
  };
}

/** A container gets whole trees: nothing is taken out of them. @throws PERMISSION_DENIED for one that contains a hidden folder */
export function refuseContaining({ read, write, hidden }: ResolvedPaths): void {
  for (const [rule, paths] of [["filesystem.write", write] as const, ["filesystem.read", read] as const]) {
    // The root of everything is mounted in no container.
    const target = hidden.find((folder) => paths.some((path) => path !== "/" && isInside(relative(path, folder))));
    if (target === undefined) continue;
    throw fail("PERMISSION_DENIED", `Cannot start a container: what it is granted contains the engine's own folder "${target}"`, {
      details: { kind: "filesystem", target, rule, grant: null },
      hint: "Grant narrower paths, or move the data folder out of what is granted (--data, AUTOKESTRA_HOME).",
    });
  }
}
