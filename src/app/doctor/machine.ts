// What doctor says of the machine: room on the disk, the clock, the container engine.
import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { LoadedConfig } from "../../config/index.ts";
import { ContainerRuntime } from "../../plugins/index.ts";
import { systemClock } from "../system.ts";
import { type Check, failed, failedBy, passed, warned } from "./check.ts";

const mebibyte = 1024 * 1024;
/** Less stops the store soon; less than the second leaves no room for a few tasks' files. */
const freeBytesMin = 100 * mebibyte;
const freeBytesWanted = 1024 * mebibyte;
const freeFilesWanted = 10_000;
/** No build of this program is older. */
const earliest = Date.UTC(2026, 0, 1);
const futureMsMax = 60_000;

/** Room where the store and the data folder are. */
export function checkDisk({ dataDir, storePath }: LoadedConfig): Check {
  try {
    const rooms = [...new Set([dataDir, dirname(storePath)])].map(roomAt);
    const room = rooms.reduce((least, one) => (one.bytes < least.bytes ? one : least));
    const message = `${sizeText(room.bytes)} free at ${room.path}`;
    if (room.bytes < freeBytesMin) return failed("disk", message, "Free some space: without any the store cannot be written.");
    if (room.bytes < freeBytesWanted) return warned("disk", message, "Free some space before it runs out.");
    const files = Math.min(...rooms.map((one) => one.files));
    if (files < freeFilesWanted) return warned("disk", `${message}, but only ${files} more files`, "Remove files that nobody needs.");
    return passed("disk", message);
  } catch (cause) {
    return failedBy("disk", cause);
  }
}

/** `files`: infinite on file systems that do not count them. */
function roomAt(path: string): { path: string; bytes: number; files: number } {
  const { bavail, bsize, files, ffree } = statfsSync(nearest(path));
  return { path, bytes: bavail * bsize, files: files === 0 ? Number.POSITIVE_INFINITY : ffree };
}

/** The folder itself, or the nearest above it that is there. */
export function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path));
}

function sizeText(bytes: number): string {
  return bytes >= freeBytesWanted ? `${(bytes / 1024 / mebibyte).toFixed(1)} GiB` : `${Math.floor(bytes / mebibyte)} MiB`;
}

/** `newestEventAt`: of the store, null when there is none. */
export function checkClock(newestEventAt: number | null): Check {
  const now = systemClock.now();
  const message = new Date(now).toISOString();
  if (now < earliest) return failed("clock", `it says ${message}, which is long past`, "Set the clock, or let it be set over the network.");
  if (newestEventAt !== null && newestEventAt > now + futureMsMax) {
    const later = new Date(newestEventAt).toISOString();
    return warned("clock", `it says ${message}, but the newest event is of ${later}`, "Set the clock: it went back since that event.");
  }
  return passed("clock", message);
}

export async function checkDocker({ config, containerSockets, dataDir }: LoadedConfig): Promise<Check> {
  const { socket: _, ...settings } = config.plugins.docker;
  const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));
  const runtime = new ContainerRuntime({
    sockets: containerSockets,
    folder: dataDir,
    store: "",
    owner: "",
    settings,
    clock: systemClock,
    randomBytes,
  });
  const state = await runtime.probe();
  if (state.available) return passed("docker", `${state.name} ${state.version} at ${state.socket}${state.rootless ? ", rootless" : ""}`);
  const hint = "Start Docker or Podman, or name its socket with plugins.docker.socket; tasks with `runtime: docker` need it.";
  return config.plugins.runtime === "docker" ? failed("docker", state.why, hint) : warned("docker", state.why, hint);
}
