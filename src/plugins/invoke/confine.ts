// From what was decided about an attempt to what its process tree is confined to: places and links resolved, what is missing left out.
import { lstatSync, realpathSync } from "node:fs";
import { dirname, relative } from "node:path";
import { coversPath, type EffectivePermissions, resolveEntry, type TaskPlaces } from "../../model/index.ts";
import type { Confinement } from "../sandbox/index.ts";
import { isInside } from "./open-below.ts";

/** Entries of the workflow and of the run, before the action and the task narrowed them. */
export type GrantedEntries = { read: readonly string[]; write: readonly string[] };
/** `paths` are real; `left` are entries that give nothing, and why. */
export type ResolvedPaths = { read: string[]; write: string[]; left: { entry: string; why: string }[] };

export type ResolveRequest = {
  filesystem: EffectivePermissions["filesystem"];
  granted: GrantedEntries;
  places: TaskPlaces;
  /** Built-in actions touch nothing but the paths they were asked for: for a file that they are to make, its folder is opened. */
  isBuiltIn: boolean;
};

export function resolvePaths(request: ResolveRequest): ResolvedPaths {
  const out: ResolvedPaths = { read: [], write: [], left: [] };
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

function resolveOne(entry: string, kind: "read" | "write", request: ResolveRequest): { path: string } | { why: string } {
  const { places, isBuiltIn, granted } = request;
  const spelled = resolveEntry(entry, places);
  if (spelled === null) return { why: entry.startsWith("$") ? "the task has no such place" : "the workflow has no folder" };
  const real = realPath(spelled);
  const path = real ?? (isBuiltIn && kind === "write" ? nearestFolder(spelled) : null);
  if (path === null) return { why: missing };
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
};

const bytesPerMb = 1024 * 1024;

export function confine({ permissions, paths, runtime, ports, user, mode, mayRun }: ConfinementRequest): Confinement {
  const { memoryMb, cpuSeconds, processes, openFiles, diskMb, listen } = permissions;
  return {
    mode,
    user,
    read: [...new Set([...runtime.read, ...paths.read])],
    write: [...new Set([...runtime.write, ...paths.write])],
    connect: ports,
    listen,
    run: mayRun || permissions.run,
    limits: { memoryBytes: memoryMb * bytesPerMb, cpuSeconds, processes, openFiles, fileBytes: diskMb * bytesPerMb },
  };
}
