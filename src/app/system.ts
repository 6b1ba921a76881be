// The world outside: time, randomness, timers, and which processes live. Only here are they taken from the system.
import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { type Clock, type Ids, limits } from "../base/index.ts";
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

/** Names this process in claims: boot, pid and start time tell later whether it still lives. */
export function processOwner(nonce: string): string {
  return [bootId() ?? hostname(), process.pid, startTicks(process.pid) ?? "", nonce].join(" ");
}

/** An owner of this boot is dead when its process is gone or another one has its pid; an owner of an earlier boot of this host is dead too. */
export const systemOwners: OwnerWatch = {
  isDead: (owner) => {
    const [boot, pid, ticks] = owner.split(" ");
    const ours = bootId();
    if (ours === null || boot === undefined || pid === undefined) return false;
    if (boot !== ours) return false;
    const now = startTicks(Number(pid));
    return now === null || now !== ticks;
  },
};

/** Name of the user that this process runs as; Bun takes it from the environment, which may not tell. */
export function osUserName(): string {
  const uid = process.getuid?.() ?? -1;
  try {
    const line = readFileSync("/etc/passwd", "utf8").split("\n").find((entry) => entry.split(":")[2] === String(uid));
    if (line !== undefined) return line.split(":")[0] ?? String(uid);
  } catch {
    // No such file here: the next best is what the runtime knows.
  }
  const { username } = userInfo();
  return username === "unknown" ? `uid-${uid}` : username;
}

function bootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null;
  }
}

/** Start time of a process in clock ticks since boot; null when it is gone, a zombie, or the system does not tell. */
function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in brackets and may hold spaces: count from its end.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
