// Finds out what this machine can enforce: asks the kernel for its Landlock version, then tries a whole sandboxed start,
// up to the program, and gives up what fails, part by part. Once per process.

import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import type { Clock } from "../../base/index.ts";
import type { Confinement, SandboxState } from "./confinement.ts";
import { forgetSystemView, viewDisk } from "./disk-view.ts";
import { landlockStrict } from "./kernel-facts.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import { openLauncher } from "./launcher.ts";
import { openMemoryFile, openPipe, rawSyscall } from "./libc.ts";
import { parseReport, reportBytes } from "./plan-format.ts";
import type { Step } from "./plan-format.ts";
import { compilePlan } from "./plan.ts";
import { forgetKept, recallProbe, rememberProbe } from "./probe-cache.ts";
import type { Missing, Trial } from "./probe-cache.ts";
import { syscallNumber } from "./syscalls.ts";

export type Probe = { state: SandboxState; facts: KernelFacts };

/** Users that nobody else has; a container may not have the first ones. */
const trialUsers = [1_900_000_000, 200_000, 60_000] as const;
/** Without any of them there is no mounts layer. */
const mountCalls = new Set(["mount", "mount_setattr", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount"]);
const landlockVersionFlag = 1;
/** More parts than can fail one after the other. */
const trialsMax = 12;

let cache: { folder: string; clock: Clock } | null = null;
/** What tries came to, without what self-tests found out. */
let tried: Trial | null = null;
let probed: Probe | null = null;
/** Layers that a self-test got through; those that are known for sure outlast this process. */
const broken = new Map<string, { why: string; lasts: boolean }>();

/** Where what was found is kept for later processes: a folder of ours alone, made when it is missing. */
export function keepProbes(folder: string, clock: Clock): void {
  cache = { folder, clock };
}

/** What holds here; the facts are for `compilePlan`. Tried once by each process, unless an earlier one has kept it.
 * @throws SANDBOX_UNAVAILABLE where not even the launcher can run. */
export function probeSandbox(): Probe {
  if (probed !== null) return probed;
  tried ??= recall() ?? probe();
  const { missing, facts, ...rest } = tried;
  const trial: Trial = { ...rest, facts: { ...facts }, missing: [...missing] };
  for (const [layer, { why }] of broken) distrust(trial, { layer, why });
  probed = { facts: trial.facts, state: describeState(trial) };
  return probed;
}

/** Takes a layer away that an attack got through. `lasts`: later processes do not trust it either. */
export function distrustLayer(layer: string, why: string, { lasts }: { lasts: boolean } = { lasts: false }): void {
  broken.set(layer, { why, lasts });
  probed = null;
  if (lasts && tried !== null) remember(tried);
}

/** Forgets everything that was found, here and in the kept file: the next question is answered by trying. `trusts`: also
 * what self-tests found. */
export function forgetProbe({ trusts }: { trusts: boolean }): void {
  tried = null;
  probed = null;
  if (trusts) broken.clear();
  forgetSystemView();
  if (cache !== null) forgetKept(cache.folder);
}

function recall(): Trial | null {
  const kept = cache === null ? null : recallProbe(cache.folder, cache.clock.now());
  if (kept === null || kept.trial.facts.landlock > landlockVersion()) return null;
  for (const { layer, why } of kept.broken) if (!broken.has(layer)) broken.set(layer, { why, lasts: true });
  return kept.trial;
}

function remember(trial: Trial): void {
  if (cache === null) return;
  const lasting = [...broken].filter(([, { lasts }]) => lasts).map(([layer, { why }]) => ({ layer, why }));
  rememberProbe(cache.folder, { trial, broken: lasting }, cache.clock.now());
}

function probe(): Trial {
  const trial = startTrial();
  for (let count = 0; count < trialsMax && trial.facts.landlock > 0 && trial.hasFilter; count++) {
    const failure = tryStart(trial);
    if (failure === null) {
      remember(trial);
      return trial;
    }
    giveUp(trial, failure);
  }
  return trial;
}

function landlockVersion(): number {
  const version = rawSyscall(syscallNumber("landlock_create_ruleset", openLauncher().arch) ?? -1, [0, 0, landlockVersionFlag]);
  return Math.max(0, version);
}

function startTrial(): Trial {
  const version = landlockVersion();
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const isRoot = uid === 0;
  const facts: KernelFacts = {
    landlock: version,
    notify: true,
    namespaces: isRoot ? "plain" : "user",
    mounts: true,
    ownProc: true,
    ownNetwork: true,
    switchUser: isRoot,
    countApart: isRoot,
    uid,
    gid,
  };
  const missing = version > 0 ? [] : [{ layer: "landlock", why: "the kernel has no Landlock (since Linux 5.13), or it is switched off" }];
  return { facts, user: isRoot ? trialUsers[0] : null, hasFilter: true, missing };
}

type Failure = { step: Step | null; errno: number };

/** Runs the launcher to the end of a plan without a program. */
function tryStart({ facts, user }: Trial): Failure | null {
  const { path, arch } = openLauncher();
  const confinement: Confinement = {
    mode: "enforce",
    user: user === null ? null : { uid: user, gid: user },
    read: [],
    write: ["/tmp"],
    connect: [],
    listen: [],
    run: true,
    limits: { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null },
  };
  // A cover is made by calls that some container engines deny while they allow mount itself.
  const masks = facts.mounts && facts.namespaces !== null ? [{ folder: "/tmp", pins: [], read: [], write: [] }] : [];
  const confined = { confinement, facts, view: { ...viewDisk(confinement, []), masks } };
  const plan = compilePlan({ arch, program: null, argv: [], env: {}, cwd: "/", enginePid: process.pid, confined });
  const planFile = openMemoryFile("task-plan", plan.bytes);
  const notices = openPipe({ writeBlocks: false });
  try {
    Bun.spawnSync([path], { argv0: "task-keeper", env: {}, stdio: ["ignore", "ignore", "ignore", "ignore", planFile, notices.write] });
    const head = new Uint8Array(reportBytes);
    readSync(planFile, head, 0, reportBytes, 0);
    const { failed, status } = parseReport(head);
    if (failed !== null) return { step: plan.steps[failed.step] ?? null, errno: failed.errno };
    return status === 0 ? null : { step: null, errno: 0 };
  } finally {
    for (const descriptor of [planFile, notices.read, notices.write]) closeSync(descriptor);
  }
}

/** Takes away the part that failed, so that the next try can do without it. */
function giveUp(trial: Trial, { step, errno }: Failure): void {
  const { facts } = trial;
  const call = step?.kind === "syscall" ? step.call : (step?.kind ?? "start");
  const purpose = step?.kind === "syscall" ? step.for : undefined;
  const why = `${call} failed with ${errnoName(errno)}`;
  if (call === "fork" || purpose === "namespaces") {
    facts.namespaces = facts.namespaces === "plain" ? "user" : null;
    if (facts.namespaces === "user") dropUsers(trial, `only namespaces made by root hold other users (${why})`);
    else distrust(trial, { layer: "namespaces", why });
  } else if (call === "keep" && facts.switchUser) dropUsers(trial, "the keeper needs CAP_SYS_PTRACE to look into another user's task");
  else if (purpose === "network") distrust(trial, { layer: "network", why });
  else if (purpose === "countApart" || call === "unshare") facts.countApart = false;
  else if (call === "setresuid" || call === "setresgid" || call === "setgroups") {
    const next = trialUsers[trialUsers.findIndex((user) => user === trial.user) + 1];
    if (next === undefined) dropUsers(trial, why);
    else trial.user = next;
  } else if (purpose === "names") distrust(trial, { layer: "mounts", why });
  else if (call === "mount" && facts.ownProc) facts.ownProc = false;
  else if (mountCalls.has(call)) distrust(trial, { layer: "mounts", why });
  else if (call === "seccomp" && facts.notify) distrust(trial, { layer: "loopback", why });
  else if (call.startsWith("landlock")) distrust(trial, { layer: "landlock", why });
  else distrust(trial, { layer: call === "seccomp" ? "seccomp" : "launcher", why });
}

function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

function dropUsers(trial: Trial, why: string): void {
  if (trial.facts.switchUser) trial.missing.push({ layer: "uid", why });
  trial.user = null;
  trial.facts.switchUser = false;
  trial.facts.countApart = false;
}

/** Takes a layer and what rests on it out of the facts. */
function distrust(trial: Trial, { layer, why }: Missing): void {
  const { facts } = trial;
  if (trial.missing.some((gap) => gap.layer === layer)) return;
  trial.missing.push({ layer, why });
  if (layer === "namespaces") facts.namespaces = null;
  if (layer === "namespaces" || layer === "mounts") {
    facts.mounts = false;
    facts.ownProc = false;
    // Nobody else could reach folders that are the engine's alone.
    dropUsers(trial, "without the mounts layer another user cannot reach the engine's folders");
    if (layer === "namespaces") distrust(trial, { layer: "mounts", why });
  }
  if (layer === "uid") dropUsers(trial, why);
  if (layer === "namespaces" || layer === "network") facts.ownNetwork = false;
  if (layer === "loopback") facts.notify = false;
  if (layer === "landlock") facts.landlock = 0;
  if (layer === "seccomp" || layer === "launcher") trial.hasFilter = false;
}

function describeState({ facts, hasFilter, missing }: Trial): SandboxState {
  const isReduced = facts.landlock > 0 && hasFilter && !broken.has("limits") && !broken.has("privileges");
  const isStrict = isReduced && facts.landlock >= landlockStrict && facts.notify;
  if (facts.landlock > 0 && facts.landlock < landlockStrict) {
    missing.push({ layer: "landlock", why: `the kernel's Landlock is version ${facts.landlock}, all parts need ${landlockStrict} (Linux 6.12)` });
  }
  const holds: Record<string, boolean> = {
    limits: !broken.has("limits"),
    privileges: !broken.has("privileges"),
    landlock: facts.landlock > 0,
    seccomp: hasFilter,
    loopback: facts.notify && hasFilter,
    namespaces: facts.namespaces !== null,
    network: facts.ownNetwork,
    mounts: facts.mounts,
    uid: facts.switchUser,
  };
  if (facts.uid !== 0) missing.push({ layer: "uid", why: "only a server that runs as root can give tasks users of their own" });
  const layers = isReduced ? Object.keys(holds).filter((layer) => holds[layer]) : [];
  return { level: isStrict ? "strict" : isReduced ? "reduced" : "none", layers, missing, canOwnUser: facts.switchUser };
}
