// What the launcher does to start one task, in order. Pure: a specification in, the plan's bytes out. The process tree
// is all there is so far; a layer of the sandbox is one more function that appends steps where `compilePlan` says.

import { addText, addTextList, encodePlan, startDraft } from "./plan-format.ts";
import type { PlanDraft, Step } from "./plan-format.ts";
import type { LinuxArch } from "./syscalls.ts";

export type LaunchSpec = {
  arch: LinuxArch;
  /** The file to execute. */
  program: string;
  argv: readonly string[];
  /** The whole environment. */
  env: Readonly<Record<string, string>>;
  /** Absolute. */
  cwd: string;
  /** The process that spawns the launcher; when it is not the parent any more, nothing starts. */
  enginePid: number;
};

/** The bytes for descriptor 4, and the steps in them, by which a report's step number is explained. */
export type Plan = { bytes: Uint8Array; steps: readonly Step[] };

const signals = { SIGKILL: 9, SIGUSR1: 10, SIGCHLD: 17 } as const;
const prctl = { PR_SET_PDEATHSIG: 1, PR_SET_NAME: 15, PR_SET_CHILD_SUBREAPER: 36 } as const;
const fcntl = { F_SETFD: 2, FD_CLOEXEC: 1 } as const;
const openat = { AT_FDCWD: -100, O_CLOEXEC: 0o2000000 } as const;
const descriptorMax = 0xffffffff;
/** Slots of results that later steps use. */
const slots = { supervisor: 0, parent: 1, proc: 2 } as const;
const planDescriptor = 4;

/** Compiles the plan for one task. */
export function compilePlan(spec: LaunchSpec): Plan {
  const draft = startDraft();
  superviseTree(draft, spec);
  enterTask(draft, spec);
  // Here follow the layers, in this order: limits, privileges, Landlock, seccomp; none may come after execve.
  executeProgram(draft, spec);
  return { bytes: encodePlan(draft, spec.arch), steps: draft.steps };
}

/** Up to the fork: a session of its own, so that a terminal's signals pass it by, tied to the engine's life, and parent
 * of all orphans below. The engine may have died before the death signal was set: then the parent is another one. */
function superviseTree(draft: PlanDraft, spec: LaunchSpec): void {
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_PDEATHSIG, signals.SIGUSR1] },
    { kind: "syscall", call: "getppid", args: [], result: slots.parent },
    { kind: "expect", what: "engine", actual: { slot: slots.parent }, expected: spec.enginePid },
    { kind: "syscall", call: "fcntl", args: [planDescriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC] },
    // What the engine left open by mistake is closed for the supervisor too, which would keep it open otherwise.
    { kind: "syscall", call: "close_range", args: [planDescriptor + 1, descriptorMax, 0] },
    { kind: "syscall", call: "openat", args: [openat.AT_FDCWD, addText(draft, "/proc"), openat.O_CLOEXEC], result: slots.proc },
    { kind: "syscall", call: "setsid", args: [], mayFail: true },
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_CHILD_SUBREAPER, 1] },
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_NAME, addText(draft, "task-keeper")], mayFail: true },
    { kind: "syscall", call: "chdir", args: [addText(draft, "/")] },
    { kind: "syscall", call: "getpid", args: [], result: slots.supervisor },
    { kind: "fork", flags: signals.SIGCHLD, proc: { slot: slots.proc } },
  );
}

/** The child: dies with its supervisor, and has a session apart from it, so that `kill 0` in a script stays in the task. */
function enterTask(draft: PlanDraft, spec: LaunchSpec): void {
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_SET_PDEATHSIG, signals.SIGKILL] },
    { kind: "syscall", call: "getppid", args: [], result: slots.parent },
    { kind: "expect", what: "supervisor", actual: { slot: slots.parent }, expected: { slot: slots.supervisor } },
    { kind: "syscall", call: "setsid", args: [] },
    { kind: "syscall", call: "chdir", args: [addText(draft, spec.cwd)] },
  );
}

function executeProgram(draft: PlanDraft, spec: LaunchSpec): void {
  const argv = addTextList(draft, spec.argv);
  const environment = addTextList(
    draft,
    Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
  );
  draft.steps.push({ kind: "syscall", call: "execve", args: [addText(draft, spec.program), argv, environment] });
}
