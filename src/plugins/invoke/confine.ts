// From what was decided about an attempt to what its process tree is confined to: places and links resolved, what is missing left out.
import { lstatSync, realpathSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { coversPath, type EffectivePermissions, resolveEntry, type TaskPlaces } from "../../model/index.ts";
import type { Confinement } from "../sandbox/index.ts";
import { isInside } from "./open-below.ts";

/** Entries of the workflow and of the run, before the action and the task narrowed them. */
export type GrantedEntries = { read: readonly string[]; write: readonly string[] };
/** The engine's data folder and its database file: no grant opens them. */
export type EnginePlaces = { data: string; store: string };
/** Paths are real; `left` are entries that give nothing, and why. `hidden`: folders that no grant opens, though it may contain them. `passed`:
 * folders that the spelling of a grant leads through. */
export type ResolvedPaths = { read: string[]; write: string[]; left: { entry: string; why: string }[]; hidden: string[]; passed: string[] };

export type ResolveRequest = {
  filesystem: EffectivePermissions["filesystem"];
  granted: GrantedEntries;
  places: TaskPlaces;
  engine: EnginePlaces;
  /** Built-in actions touch nothing but the paths they were asked for: for a file that they are to make, its folder is opened. */
  isBuiltIn: boolean;
};

export function resolvePaths(request: ResolveRequest): ResolvedPaths {
  const out: ResolvedPaths = { read: [], write: [], left: [], hidden: hiddenFolders(request.engine), passed: passedFolders(request) };
  for (const kind of ["write", "read"] as const) {
    for (const entry of request.filesystem[kind]) {
      const found = resolveOne(entry, kind, request);
      if ("path" in found) out[kind].push(found.path);
      else if (!(request.isBuiltIn && found.why === missing)) out.left.push({ entry, why: found.why });
    }
  }
  return { ...out, read: [...new Set(out.read)], write: [...new Set(out.write)] };
}

const missing = "it does not exist";

/** Of a database elsewhere its folder. */
function hiddenFolders({ data, store }: EnginePlaces): string[] {
  return [...new Set([data, dirname(store)].flatMap((path) => realPath(path) ?? []))];
}

/** Whether a path is the engine's own, or what it is kept in. */
function isEngines(path: string, { data, store }: EnginePlaces): boolean {
  const folder = realPath(data);
  const database = realPath(store);
  if (folder !== null && isInside(relative(folder, path))) return true;
  // Beside the file itself stand those that SQLite makes for it.
  return database !== null && (path === dirname(database) || path.startsWith(database));
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
  const { places, isBuiltIn, granted } = request;
  const spelled = resolveEntry(entry, places);
  if (spelled === null) return { why: entry.startsWith("$") ? "the task has no such place" : "the workflow has no folder" };
  const real = realPath(spelled);
  const path = real ?? (isBuiltIn && kind === "write" ? nearestFolder(spelled) : null);
  if (path === null) return { why: missing };
  if (!entry.startsWith("$") && isEngines(path, request.engine)) return { why: "it is the engine's own, or holds its database" };
  // A link that some task put into a tree it may write must not widen what another one was granted.
  const roots = [...rootsOf(entry, places), ...coveringRoots(entry, granted, places)];
  const leadsOut = roots.some((root) => !isInside(relative(root, path)));
  return leadsOut ? { why: "a link in it leads out of what was granted" } : { path };
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

/** The path without links, null when there is nothing. */
export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** The real path of the first folder above that is there; never the root of everything. */
function nearestFolder(path: string): string | null {
  for (let at = dirname(path); at !== "/"; at = dirname(at)) {
    const real = realPath(at);
    if (real !== null) return lstatSync(real).isDirectory() ? real : null;
  }
  return null;
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

const bytesPerMb = 1024 * 1024;
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
