// Which folders a container may see: never a container engine's socket or a folder with one, never the kernel's own trees.

import { lstatSync, realpathSync } from "node:fs";
import { isAbsolute, normalize, relative } from "node:path";
import { type CodedError, fail } from "../../../base/index.ts";
import type { ContainerMount } from "./ports.ts";

/** Sockets that are as good as root on the host. */
const knownSockets = [
  "/var/run/docker.sock",
  "/run/docker.sock",
  "/run/podman/podman.sock",
  "/run/containerd/containerd.sock",
  "/run/crio/crio.sock",
  "/run/buildkit/buildkitd.sock",
];
const keptTargets = ["/proc", "/sys", "/dev"];
/** Where the relay and the task's own files are in the container. */
export const controlTarget = "/.autokestra";

/** The mounts as the engine is to make them: sources real, none twice, none below a writable one that shows it already.
 * @throws PERMISSION_DENIED, FILE_NOT_FOUND, TASK_INPUT_INVALID */
export function checkMounts(mounts: readonly ContainerMount[], engineSockets: readonly string[]): ContainerMount[] {
  const sockets = [...new Set([...knownSockets, ...engineSockets].flatMap((path) => [path, realOrNull(path) ?? path]))];
  const real = mounts.map((mount) => ({ asked: mount, source: realSource(mount) }));
  for (const { asked, source } of real) refuseDangerous(asked, source, sockets);
  const checked = real.map(({ asked, source }) => ({ source, target: normalize(asked.target), readOnly: asked.readOnly }));
  return dropCovered(checked);
}

function realSource({ source, target }: ContainerMount): string {
  for (const path of [source, target]) {
    // A comma or a colon means something in the forms that some engines write mounts in.
    if (!isAbsolute(path) || path.includes("\0")) throw fail("TASK_INPUT_INVALID", `Cannot mount "${path}": it is not an absolute path`);
  }
  const real = realOrNull(source);
  if (real === null) throw fail("FILE_NOT_FOUND", `Cannot mount "${source}": no such file or folder`, { details: { path: source } });
  return real;
}

function realOrNull(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function refuseDangerous({ source: asked, target }: ContainerMount, source: string, sockets: readonly string[]): void {
  const socket = lstatSync(source).isSocket() ? source : sockets.find((path) => isInside(path, source));
  if (socket !== undefined) throw denied(asked, `it is or holds the socket ${socket}, which would be a way out of the container`);
  const kept = [...keptTargets, controlTarget].find((path) => isInside(normalize(target), path));
  if (kept !== undefined || normalize(target) === "/") throw denied(asked, `${target} in the container is not to be replaced`);
}

function denied(path: string, why: string): CodedError {
  const details = { kind: "filesystem", target: path, rule: "docker.mount", grant: null };
  return fail("PERMISSION_DENIED", `Cannot mount "${path}": ${why}`, { details, hint: "Grant a narrower folder." });
}

/** A task can exchange what lies in a folder that it writes, also for a link to elsewhere: such a place is seen through
 * the mount of the folder and needs none of its own. */
function dropCovered(mounts: readonly ContainerMount[]): ContainerMount[] {
  const isCovered = (mount: ContainerMount, index: number) =>
    mounts.some((other, at) => {
      if (at === index || !isInside(mount.source, other.source)) return false;
      if (relative(other.source, mount.source) !== relative(other.target, mount.target)) return false;
      if (mount.source !== other.source) return !other.readOnly;
      // The same one twice: the writable one stays, else the first.
      return mount.readOnly === other.readOnly ? at < index : mount.readOnly;
    });
  return mounts.filter((mount, index) => !isCovered(mount, index));
}

function isInside(path: string, folder: string): boolean {
  const inside = relative(folder, path);
  return inside === "" || (inside !== ".." && !inside.startsWith("../") && !isAbsolute(inside));
}
