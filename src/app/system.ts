// The world outside: time, randomness, timers, and which processes live. Only here are they taken from the system.
import { readFileSync, readlinkSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { type Clock, type Ids, limits } from "../base/index.ts";
import { processStamp } from "../config/index.ts";
import type { OwnerWatch, Timers } from "../engine/index.ts";

export const systemClock: Clock = { now: () => Date.now() };

export const systemIds: Ids = { next: () => Bun.randomUUIDv7() };

const timerMsMax = 2 ** 31 - 1;

export const systemTimers: Timers = {
  set: (atMs, work) => {
    // setTimeout wraps beyond 24 days: it then rings early, and who waits looks at the time again.
    const handle = setTimeout(work, Math.min(Math.max(0, atMs - Date.now()), Math.min(timerMsMax, limits.durationMsMax)));
    return handle;
  },
  clear: (handle) => clearTimeout(handle as Timer),
  soon: (work) => void setImmediate(work),
};

/** Names this process in claims: machine, pid and stamp tell later whether it still lives. */
export function processOwner(nonce: string): string {
  return [pidSpace(), process.pid, processStamp(process.pid) ?? "", nonce].join(" ");
}

/** An owner on this machine and of this boot is dead when its process is gone or another one has its pid. */
export const systemOwners: OwnerWatch = {
  isDead: (owner) => {
    const [space, pid, stamp] = owner.split(" ");
    const ours = processStamp(process.pid);
    if (space !== pidSpace() || ours === null || stamp === undefined || stamp === "") return false;
    // A stamp is boot id and start time: of another boot than ours every process is gone.
    return processStamp(Number(pid)) !== stamp;
  },
};

/** Within what a pid means one process: two containers on one machine share host name and boot at times, but not this. */
function pidSpace(): string {
  try {
    return `${hostname()}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** Name of the user that this process runs as; Bun takes it from the environment, which may not tell. */
export function osUserName(): string {
  const uid = process.getuid?.() ?? -1;
  try {
    const line = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((entry) => entry.split(":")[2] === String(uid));
    if (line !== undefined) return line.split(":")[0] ?? String(uid);
  } catch {
    // No such file here: the next best is what the runtime knows.
  }
  const { username } = userInfo();
  return username === "unknown" ? `uid-${uid}` : username;
}
