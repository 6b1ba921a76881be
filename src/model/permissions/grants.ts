// The YAML line that would allow something: an entry that was asked for, or an operation that was denied at run time.
import { posix } from "node:path";
import { isNeverCopied } from "./environment-entries.ts";
import { findNetworkProblem } from "./network-entries.ts";
import type { Denial, PermissionKind } from "./effective.ts";
import { coversPath } from "./path-entries.ts";
import type { TaskPlaces } from "./places.ts";

/** The line below `permissions:` that holds one entry, such as `network: ["db.example.com:5432"]`. */
export function renderGrant(kind: Exclude<PermissionKind, "limit">, entry: string): string {
  switch (kind) {
    case "run":
      return "run: true";
    case "env":
    case "listen":
      return `${kind}: [${entry}]`;
    case "network":
      return `network: [${JSON.stringify(entry)}]`;
    case "filesystem.read":
    case "filesystem.write":
      return `filesystem: { ${kind.slice("filesystem.".length)}: [${JSON.stringify(entry)}] }`;
  }
}

/** `isNew`: the path is not there yet, so that the folder it would be in has to be writable. */
export type DeniedOperation = Pick<Denial, "kind" | "target" | "rule"> & { isNew?: boolean };

/** The line that would allow a denied operation, null where no grant can. `target` of a file: its real path. */
export function findGrant(denied: DeniedOperation, places: TaskPlaces): string | null {
  const { kind, target, rule } = denied;
  if (rule === "listen") {
    const port = /:(\d+)$/.exec(target)?.[1];
    return port === undefined ? null : renderGrant("listen", port);
  }
  switch (kind) {
    case "network":
      return findNetworkProblem(target) === null ? renderGrant("network", target) : null;
    case "filesystem":
      return findPathGrant(denied, places);
    case "env":
      return isNeverCopied(target) ? null : renderGrant("env", target);
    case "run":
      return renderGrant("run", "true");
    case "syscall":
      return null;
  }
}

function findPathGrant({ target, rule, isNew = false }: DeniedOperation, places: TaskPlaces): string | null {
  if (!target.startsWith("/") || target.includes("\0")) return null;
  const isWrite = rule === "filesystem.write";
  const lies = (place: string | null | undefined) => place !== null && place !== undefined && coversPath(place, target);
  // Never writable, whatever is granted; and what lies in the work folder is the task's own.
  if (lies(places.workdir) || lies(places.input)) return null;
  if (lies(places.plugin)) return null;
  return renderGrant(isWrite ? "filesystem.write" : "filesystem.read", writePath(isWrite && isNew ? posix.dirname(target) : target, places));
}

/** An absolute path as a workflow would name it: its place, `./x` below the workflow's folder, else the path itself. */
export function writePath(path: string, places: TaskPlaces): string {
  const { workspace = null, worktree = null, folder = null } = places;
  if (worktree !== null && coversPath(worktree, path)) return "$worktree";
  if (workspace !== null && coversPath(workspace, path)) return "$workspace";
  if (folder === null || !coversPath(folder, path)) return path;
  const below = posix.relative(folder, path);
  return below === "" ? "." : `./${below}`;
}
