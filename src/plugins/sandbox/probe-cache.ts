// What a probe found, kept in a file for the processes that come after: each would otherwise try the same starts again.
// A file belongs to one state of machine and program. Anything odd about it means probing again.

import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { isObject, sha256Hex, version } from "../../base/index.ts";
import type { Millis } from "../../base/index.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import { launcherDigest } from "./launcher.ts";

/** A layer that does not hold here, and why. */
export type Missing = { layer: string; why: string };
/** What tries came to: the facts that are left, the user that a task could become, and what had to be given up. */
export type Trial = { facts: KernelFacts; user: number | null; hasFilter: boolean; missing: Missing[] };
/** `broken`: layers that a self-test got through. */
export type Kept = { trial: Trial; broken: Missing[] };

/** What an administrator changes without a restart shows after a day at the latest. */
const ageMaxMs = 24 * 60 * 60 * 1000;
const bytesMax = 16 * 1024;
const namePattern = /^sandbox-[0-9a-f]{32}\.json$/;
const layerNames = new Set(["limits", "privileges", "landlock", "seccomp", "loopback", "namespaces", "network", "mounts", "uid"]);
const listMax = 32;
const textMax = 1000;
const statusFields = /^(?:CapEff|CapBnd|CapPrm|NoNewPrivs|Seccomp|Seccomp_filters):.*$/gm;
const identityFiles = [
  "/proc/sys/kernel/random/boot_id",
  "/proc/self/attr/current",
  "/proc/sys/user/max_user_namespaces",
  "/proc/sys/user/max_pid_namespaces",
  "/proc/sys/user/max_mnt_namespaces",
  "/proc/sys/user/max_net_namespaces",
  "/proc/sys/kernel/unprivileged_userns_clone",
  "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
] as const;

/** What was found in this state of machine and program, null when that is not known. */
export function recallProbe(folder: string, now: Millis): Kept | null {
  const key = machineKey();
  const text = readOwnFile(fileFor(folder, key));
  if (text === null) return null;
  try {
    return parseKept(JSON.parse(text), { key, now });
  } catch {
    return null; // not JSON
  }
}

/** Keeps it, where the folder can be written. */
export function rememberProbe(folder: string, { trial, broken }: Kept, now: Millis): void {
  const key = machineKey();
  const file = fileFor(folder, key);
  const draft = `${file}.${process.pid}`;
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    writeFileSync(draft, JSON.stringify({ key, at: now, trial, broken }), { mode: 0o600, flag: "wx" });
    renameSync(draft, file);
    removeOld(folder, now);
  } catch {
    rmSync(draft, { force: true }); // the next process probes again
  }
}

/** The next process that asks finds nothing. */
export function forgetKept(folder: string): void {
  try {
    rmSync(fileFor(folder, machineKey()), { force: true });
  } catch {
    // it is too old some day
  }
}

function fileFor(folder: string, key: string): string {
  return join(folder, `sandbox-${key.slice(0, 32)}.json`);
}

/** All that the outcome of a probe depends on, as far as it can be read. */
function machineKey(): string {
  const program = statSync(process.execPath, { throwIfNoEntry: false });
  const spaces = ["user", "mnt", "pid"].map((name) => readLink(`/proc/self/ns/${name}`));
  const own = [process.getuid?.() ?? -1, process.getgid?.() ?? -1, ...(readText("/proc/self/status").match(statusFields) ?? [])];
  const of = [version, launcherDigest(), release(), program?.size, program?.mtimeMs, ...spaces, ...own, ...identityFiles.map(readText)];
  return sha256Hex(new TextEncoder().encode(JSON.stringify(of)));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** The text of a small file that is ours alone. */
function readOwnFile(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const status = fstatSync(file);
    const isOurs = status.isFile() && status.uid === process.getuid?.() && (status.mode & 0o077) === 0 && status.nlink === 1;
    if (!isOurs || status.size > bytesMax) return null;
    const bytes = Buffer.alloc(bytesMax);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytesMax, 0));
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

/** Files of states that are past. */
function removeOld(folder: string, now: Millis): void {
  for (const name of readdirSync(folder).filter((entry) => namePattern.test(entry))) {
    const path = join(folder, name);
    const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (now - changed > ageMaxMs) rmSync(path, { force: true });
  }
}

function parseKept(value: unknown, { key, now }: { key: string; now: Millis }): Kept | null {
  if (!isObject(value) || value["key"] !== key) return null;
  const { at, trial, broken } = value;
  const age = typeof at === "number" ? now - at : -1;
  if (!(age >= 0 && age <= ageMaxMs) || !isObject(trial) || !isMissingList(broken)) return null;
  const { facts, user, hasFilter, missing } = trial;
  if (!isFacts(facts) || typeof hasFilter !== "boolean" || !isMissingList(missing)) return null;
  if (user !== null && (typeof user !== "number" || !Number.isSafeInteger(user) || user <= 0)) return null;
  // A user goes with the right to switch to it.
  return facts.switchUser === (user !== null) ? { trial: { facts, user, hasFilter, missing }, broken } : null;
}

function isFacts(value: unknown): value is KernelFacts {
  if (!isObject(value)) return false;
  const flags = ["notify", "mounts", "ownProc", "ownNetwork", "switchUser", "countApart"];
  const { landlock, namespaces, mounts, ownProc, uid, gid } = value;
  // Each rests on the one before.
  if ((mounts === true && namespaces === null) || (ownProc === true && mounts !== true)) return false;
  return (
    Object.keys(value).length === flags.length + 4 &&
    flags.every((flag) => typeof value[flag] === "boolean") &&
    typeof landlock === "number" &&
    Number.isSafeInteger(landlock) &&
    landlock >= 0 &&
    (namespaces === null || namespaces === "plain" || namespaces === "user") &&
    uid === process.getuid?.() &&
    gid === process.getgid?.()
  );
}

function isMissingList(value: unknown): value is Missing[] {
  const isText = (text: unknown) => typeof text === "string" && text.length <= textMax;
  return (
    Array.isArray(value) &&
    value.length <= listMax &&
    value.every((one) => isObject(one) && layerNames.has(String(one["layer"])) && isText(one["why"]))
  );
}
