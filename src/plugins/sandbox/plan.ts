// What the launcher does to start one task, in order. Pure: a specification in, the plan's bytes out. The layers of the
// sandbox append their steps from files of their own; here stands the order, on which they rely.

import type { Confinement } from "./confinement.ts";
import type { DiskView } from "./disk-view.ts";
import { assembleFilter } from "./filter.ts";
import { keepTask, numberedRules } from "./keeper.ts";
import type { KeeperRule } from "./keeper.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import { buildRuleset, restrictSelf } from "./landlock.ts";
import { forbidCoreDumps, limitOpenFiles, limitProcess } from "./limits.ts";
import { requireMounts } from "./masks.ts";
import { arrangeMounts } from "./mounts.ts";
import { addBytes, addText, addTextList, encodePlan, startDraft } from "./plan-format.ts";
import type { PlanDraft, Step } from "./plan-format.ts";
import { becomeUser, dropPrivileges, mapUser, refuseNewPrivileges } from "./privileges.ts";
import { enforcedCalls, isChangeMediated, observedCalls } from "./seccomp.ts";
import { descriptors, slots } from "./slots.ts";
import type { LinuxArch } from "./syscalls.ts";

/** What a confined task adds: its confinement, what the kernel can do, and what was looked up of the disk. */
export type Confined = { confinement: Confinement; facts: KernelFacts; view: DiskView };

export type LaunchSpec = {
  arch: LinuxArch;
  /** The file to execute; null tries everything up to there and ends well. */
  program: string | null;
  argv: readonly string[];
  /** The whole environment. */
  env: Readonly<Record<string, string>>;
  /** Absolute. */
  cwd: string;
  /** The process that spawns the launcher; when it is not the parent any more, nothing starts. */
  enginePid: number;
  /** Files of control groups, by which the supervisor joins them before it starts another process. */
  joins?: readonly string[];
  /** The engine's descriptor of an empty network namespace, for tasks that can enter it; null: each makes one. */
  network?: number | null;
  /** null: only the process tree is kept (sandbox off). */
  confined?: Confined | null;
};

/** The bytes for descriptor 4, the steps in them, by which a report's step number is explained, and the keeper's rules,
 * by which notices are. */
export type Plan = { bytes: Uint8Array; steps: readonly Step[]; rules: readonly KeeperRule[] };

const signals = { SIGKILL: 9, SIGUSR1: 10, SIGCHLD: 17 } as const;
const prctl = { PR_SET_PDEATHSIG: 1, PR_SET_NAME: 15, PR_SET_CHILD_SUBREAPER: 36 } as const;
const fcntl = { F_SETFD: 2, FD_CLOEXEC: 1 } as const;
const openat = { AT_FDCWD: -100, O_WRONLY: 1, O_CLOEXEC: 0o2000000 } as const;
const descriptorMax = 0xffffffff;
const SIG_SETMASK = 2;
const POLLIN = 1;
const clone = { NEWNET: 0x40000000, NEWNS: 0x00020000, NEWUTS: 0x04000000, NEWIPC: 0x08000000, NEWUSER: 0x10000000, NEWPID: 0x20000000 } as const;
const seccomp = { SET_MODE_FILTER: 1, NEW_LISTENER: 8 } as const;
const standardStreams = 0b1111;

/** Compiles the plan for one task.
 * @throws SANDBOX_UNAVAILABLE when the confinement asks for what this kernel cannot hold. */
export function compilePlan(spec: LaunchSpec): Plan {
  const draft = startDraft();
  const confined = spec.confined ?? null;
  const rules = confined === null ? planFreeTask(draft, spec) : planConfinedTask(draft, spec, confined);
  if (spec.program === null) draft.steps.push({ kind: "syscall", call: "exit_group", args: [0] });
  else executeProgram(draft, spec, spec.program);
  return { bytes: encodePlan(draft, spec.arch), steps: draft.steps, rules };
}

function planFreeTask(draft: PlanDraft, spec: LaunchSpec): KeeperRule[] {
  superviseTree(draft, spec, []);
  forkSupervised(draft, signals.SIGCHLD, standardStreams);
  dieWithParent(draft, "supervisor", slots.supervisor);
  draft.steps.push({ kind: "syscall", call: "setsid", args: [] });
  unblockSignals(draft);
  forbidCoreDumps(draft);
  draft.steps.push({ kind: "syscall", call: "chdir", args: [addText(draft, spec.cwd)] });
  return [];
}

/** Supervisor, keeper, task: the keeper arranges what needs rights that the task is not to have, the task gives its own up. */
function planConfinedTask(draft: PlanDraft, spec: LaunchSpec, confined: Confined): KeeperRule[] {
  const { confinement, facts } = confined;
  const isEnforced = confinement.mode === "enforce";
  const kept = restOn(isEnforced ? facts : { ...facts, namespaces: null });
  if (isEnforced && !kept.mounts) requireMounts(confined.view.masks, confined.view);
  const { filter, rules } = planCalls(spec.arch, confinement, kept);

  superviseTree(draft, spec, [descriptors.notices]);
  draft.steps.push({ kind: "syscall", call: "pidfd_open", args: [{ slot: slots.supervisor }, 0], result: slots.scratch });
  forkSupervised(draft, signals.SIGCHLD | namespaceFlags(kept), standardStreams | (1 << descriptors.notices));
  becomeKeeper(draft, confined, { facts: kept, home: spec.env.HOME ?? "/" });
  if (isEnforced) buildRuleset(draft, { ...confined, facts: kept });
  const answers = facts.notify;
  const sharesPids = kept.namespaces === null;
  const { connect, listen } = confinement;
  const canLookUp = kept.ownProc || sharesPids;
  const roots = isEnforced && answers && !isChangeMediated(confinement, kept) ? confined.view.write : [];
  const hasOtherUser = isEnforced && confinement.user !== null;
  keepTask(draft, { rules, roots, connect, listen, patient: !isEnforced, sharesPids, canLookUp, answers, hasOtherUser }, spec.arch);

  dieWithParent(draft, "keeper", slots.keeper);
  draft.steps.push({ kind: "syscall", call: "setsid", args: [] });
  unblockSignals(draft);
  if (isEnforced && kept.ownNetwork) leaveNetwork(draft, spec, kept);
  if (isEnforced) giveUpRights(draft, confinement, kept);
  limitProcess(draft, confinement.limits, confinement.user !== null || kept.namespaces === "user");
  refuseNewPrivileges(draft);
  if (isEnforced) restrictSelf(draft, kept);
  draft.steps.push({ kind: "syscall", call: "chdir", args: [addText(draft, spec.cwd)] });
  installFilter(draft, filter, answers);
  limitOpenFiles(draft, confinement.limits);
  return rules;
}

/** Without what has nothing to rest on: mounts outside of namespaces of the task's own would be the whole machine's. */
function restOn(facts: KernelFacts): KernelFacts {
  const mounts = facts.mounts && facts.namespaces !== null;
  return { ...facts, mounts, ownProc: facts.ownProc && mounts, ownNetwork: facts.ownNetwork && facts.namespaces !== null };
}

type PlannedCalls = { filter: Uint8Array; rules: KeeperRule[] };
/** There are few combinations of what the rules depend on, and making them is most of the work of a plan. */
const plannedCalls = new Map<string, PlannedCalls>();

function planCalls(arch: LinuxArch, confinement: Confinement, facts: KernelFacts): PlannedCalls {
  const { mode, user, run, listen } = confinement;
  const { notify, mounts, namespaces, landlock } = facts;
  const key = [arch, mode, user === null, run, listen.length > 0, notify, mounts, namespaces, landlock].join();
  const known = plannedCalls.get(key);
  if (known !== undefined) return known;
  const policy = mode === "enforce" ? enforcedCalls(confinement, facts) : observedCalls();
  const filter = assembleFilter(policy.filter, arch, { closed: mode === "enforce" });
  const made = { filter, rules: numberedRules(policy.keeper, arch) };
  plannedCalls.set(key, made);
  return made;
}

/** Up to the fork: a session of its own, so that a terminal's signals pass it by, tied to the engine's life, and parent
 * of all orphans below. The engine may have died before the death signal was set: then the parent is another one.
 * `kept` follow the plan's descriptor, and are closed by execve like it. */
function superviseTree(draft: PlanDraft, spec: LaunchSpec, kept: readonly number[]): void {
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_PDEATHSIG, signals.SIGUSR1] },
    { kind: "syscall", call: "getppid", args: [], result: slots.parent },
    { kind: "expect", what: "engine", actual: { slot: slots.parent }, expected: spec.enginePid },
  );
  for (const descriptor of [descriptors.plan, ...kept]) {
    draft.steps.push({ kind: "syscall", call: "fcntl", args: [descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC] });
  }
  draft.steps.push(
    // What the engine left open by mistake is closed for the supervisor too, which would keep it open otherwise.
    { kind: "syscall", call: "close_range", args: [descriptors.plan + kept.length + 1, descriptorMax, 0] },
    { kind: "syscall", call: "openat", args: [openat.AT_FDCWD, addText(draft, "/proc"), openat.O_CLOEXEC], result: slots.proc },
    { kind: "syscall", call: "setsid", args: [], mayFail: true },
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_CHILD_SUBREAPER, 1] },
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_NAME, addText(draft, "task-keeper")], mayFail: true },
    { kind: "syscall", call: "chdir", args: [addText(draft, "/")] },
    { kind: "syscall", call: "getpid", args: [], result: slots.supervisor },
  );
  for (const file of spec.joins ?? []) {
    const flags = openat.O_WRONLY | openat.O_CLOEXEC;
    draft.steps.push(
      { kind: "syscall", call: "openat", args: [openat.AT_FDCWD, addText(draft, file), flags, 0], result: slots.scratch },
      { kind: "syscall", call: "write", args: [{ slot: slots.scratch }, addText(draft, "0"), 1] },
      { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
    );
  }
}

function forkSupervised(draft: PlanDraft, flags: number, closes: number): void {
  draft.steps.push({ kind: "fork", flags, proc: { slot: slots.proc }, closes });
}

/** Dies with the parent, which may be dead already: then nothing starts. */
function dieWithParent(draft: PlanDraft, what: string, expected: number): void {
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_PDEATHSIG, signals.SIGKILL] },
    { kind: "syscall", call: "getppid", args: [], result: slots.parent },
    { kind: "expect", what, actual: { slot: slots.parent }, expected: { slot: expected } },
  );
}

/** The launcher blocks all signals at its start, so that none is lost before somebody listens. */
function unblockSignals(draft: PlanDraft): void {
  draft.steps.push({ kind: "syscall", call: "rt_sigprocmask", args: [SIG_SETMASK, addBytes(draft, new Uint8Array(8)), 0, 8] });
}

function namespaceFlags({ namespaces, mounts }: KernelFacts): number {
  if (namespaces === null) return 0;
  return clone.NEWPID | clone.NEWIPC | clone.NEWUTS | (namespaces === "user" ? clone.NEWUSER : 0) | (mounts ? clone.NEWNS : 0);
}

/** The keeper: in namespaces of its own, where no parent is to be seen, it finds out by the supervisor's handle whether
 * that one lives. */
function becomeKeeper(draft: PlanDraft, { view, confinement }: Confined, { facts, home }: { facts: KernelFacts; home: string }): void {
  const alive = new Uint8Array(8);
  const poll = addBytes(draft, alive);
  new DataView(alive.buffer).setUint16(4, POLLIN, true);
  const noWait = addBytes(draft, new Uint8Array(16));
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_PDEATHSIG, signals.SIGKILL] },
    { kind: "store", at: poll, value: { slot: slots.scratch } },
    { kind: "syscall", call: "ppoll", args: [poll, 1, noWait, 0, 8], result: slots.parent },
    { kind: "expect", what: "supervisor", actual: { slot: slots.parent }, expected: 0 },
    { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_CHILD_SUBREAPER, 1] },
    { kind: "syscall", call: "getpid", args: [], result: slots.keeper },
  );
  if (facts.namespaces === "user") mapUser(draft, facts, "namespaces");
  const { user } = confinement;
  if (facts.mounts) arrangeMounts(draft, view, { facts, user: user === null ? null : { ...user, home } });
  const child = new Uint8Array(new BigUint64Array([1n << BigInt(signals.SIGCHLD - 1)]).buffer);
  draft.steps.push(
    { kind: "syscall", call: "signalfd4", args: [-1, addBytes(draft, child), 8, openat.O_CLOEXEC], result: slots.signals },
    { kind: "syscall", call: "eventfd2", args: [0, openat.O_CLOEXEC], result: slots.ready },
  );
}

/** Everybody's connections are to be seen in /proc/net. The sockets that the task is given are the keeper's, who stays where the others are. */
function leaveNetwork(draft: PlanDraft, { network = null, enginePid }: LaunchSpec, { namespaces }: KernelFacts): void {
  // In a user namespace nobody may enter what belongs to another one.
  if (network === null || namespaces !== "plain") {
    draft.steps.push({ kind: "syscall", call: "unshare", args: [clone.NEWNET], for: "network" });
    return;
  }
  const file = addText(draft, `${enginePid}/fd/${network}`);
  draft.steps.push(
    { kind: "syscall", call: "openat", args: [{ slot: slots.proc }, file, openat.O_CLOEXEC], result: slots.scratch, for: "network" },
    { kind: "syscall", call: "setns", args: [{ slot: slots.scratch }, clone.NEWNET], for: "network" },
    { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
  );
}

function giveUpRights(draft: PlanDraft, { user }: Confinement, facts: KernelFacts): void {
  const countApart = user !== null && facts.countApart;
  if (user !== null) becomeUser(draft, user, countApart);
  dropPrivileges(draft, countApart || facts.namespaces === "user" || (facts.uid === 0 && user === null));
  // Becoming another user has cleared the death signal.
  if (user !== null) dieWithParent(draft, "keeper", slots.keeper);
}

/** Installs the filter and hands its listener to the keeper, who shares this table of descriptors until it is told.
 * The program never has the listener: execve gives it a table of its own, and closes there what is marked so. */
function installFilter(draft: PlanDraft, filter: Uint8Array, answers: boolean): void {
  const program = new Uint8Array(16);
  const view = new DataView(program.buffer);
  view.setUint16(0, filter.length / 8, true);
  view.setUint32(8, addBytes(draft, filter).blob, true);
  const at = addBytes(draft, program);
  draft.steps.push({ kind: "pointers", table: at.blob + 8, count: 1 });
  const flags = answers ? seccomp.NEW_LISTENER : 0;
  draft.steps.push({ kind: "syscall", call: "seccomp", args: [seccomp.SET_MODE_FILTER, flags, at], result: slots.listener });
  if (answers) draft.steps.push({ kind: "syscall", call: "dup3", args: [{ slot: slots.listener }, descriptors.listener, openat.O_CLOEXEC] });
  const one = addBytes(draft, new Uint8Array(new BigUint64Array([1n]).buffer));
  draft.steps.push({ kind: "syscall", call: "write", args: [{ slot: slots.ready }, one, 8] });
}

function executeProgram(draft: PlanDraft, spec: LaunchSpec, program: string): void {
  const argv = addTextList(draft, spec.argv);
  const environment = addTextList(
    draft,
    Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
  );
  draft.steps.push({ kind: "syscall", call: "execve", args: [addText(draft, program), argv, environment] });
}
