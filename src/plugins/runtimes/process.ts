// One task as one process tree: spawned through the launcher, talked to over pipes, ended as a whole. What the task may
// do is the plan's business (plugins/sandbox), what its output means the caller's.

import { closeSync, fchownSync, readSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { fail } from "../../base/index.ts";
import type { CodedError } from "../../base/index.ts";
import {
  NoticeReader,
  compilePlan,
  emptyNetwork,
  forgetProbe,
  openLauncher,
  openMemoryFile,
  openPipe,
  parseReport,
  probeSandbox,
} from "../sandbox/index.ts";
import { reportBytes, resolveProgram, viewDisk } from "../sandbox/index.ts";
import type { Confined, Confinement, LaunchReport, Notice, Plan, Step } from "../sandbox/index.ts";
import { explainFailedStep, explainLostSupervisor, wrapSpawnError } from "./launch-errors.ts";
import { spawnOnMac } from "./macos/index.ts";
import { collectResult, readPipe } from "./pipe-reader.ts";
import type { PipeReader } from "./pipe-reader.ts";
import { listDescendants } from "./tree-usage.ts";

export type ProcessSpec = {
  /** The program (a path, or a name looked up in the task's PATH) and its arguments. */
  argv: readonly string[];
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  /** Absolute. */
  cwd: string;
  /** All of standard input; null is an empty one, `pipe` one that is written to through the handle. */
  stdin: Uint8Array | null | "pipe";
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Most bytes of the result on descriptor 3. */
  resultBytesMax: number;
  /** Leaves the result to `resultChunks`; `result` is then empty at once. */
  resultAsChunks?: boolean;
  /** What it may do; null: only the process tree is kept (sandbox off). */
  confinement?: Confinement | null;
  /** Files of control groups that the whole tree is to be in. */
  joinFiles?: readonly string[];
  /** Told what was denied, or in `observe` mode seen: the first few hundred of a task that is denied much. */
  onNotice?: (notice: Notice) => void;
};

/** Standard input of a task that is talked to. */
export type ProcessInput = {
  /** Resolves when the pipe has taken it. */
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
};

/** How the first process ended: one of the two is null. */
export type ProcessExit = { exitCode: number | null; signal: string | null };

export type ProcessHandle = {
  /** The supervisor's. */
  pid: number;
  /** Both are to be read to the end, or left with `return()`. */
  stdout: AsyncIterableIterator<Uint8Array>;
  stderr: AsyncIterableIterator<Uint8Array>;
  /** What came on descriptor 3. Rejects with TOO_LARGE beyond `resultBytesMax`; the task is not disturbed by that. */
  result: Promise<Uint8Array>;
  /** The same as it comes, where the specification asks for that. */
  resultChunks: AsyncIterableIterator<Uint8Array> | null;
  /** null unless the specification asks for a pipe. */
  stdin: ProcessInput | null;
  /** Pids of the task's living processes, as this process sees them; those that keep it are not among them. */
  descendants(): number[];
  /** How many notices were not passed on. */
  noticesDropped(): number;
  /** When every process of the tree is gone. Rejects when the program was never started: FILE_NOT_FOUND
   * or TASK_FAILED for the program and its folder, SANDBOX_UNAVAILABLE for the launcher's own steps; and with TASK_FAILED
   * when the supervisor was killed from outside. */
  exited: Promise<ProcessExit>;
  /** SIGTERM to the tree, SIGKILL after the grace. */
  terminate(): void;
  /** SIGKILL to the tree. */
  kill(): void;
};

/** After the tree is gone a pipe that somebody else still holds open is read no longer than this. */
const pipeIdleMs = 1000;
const nulByte = /\0/;

/** Notices of one enforced task that are passed on; what comes after says nothing new. */
const noticesMax = 500;

/** Starts a process tree. From the thread it is called on: the tree is killed when that thread ends.
 * @throws SANDBOX_UNAVAILABLE when processes cannot be started here or the confinement cannot be held,
 * TASK_INPUT_INVALID for text no process can be given. */
export function spawnProcess(spec: ProcessSpec): ProcessHandle {
  checkSpec(spec);
  if (process.platform === "darwin") return spawnOnMac(spec);
  const launcher = openLauncher();
  const [name = ""] = spec.argv;
  const { argv, env, cwd } = spec;
  const program = resolveProgram(name, env.PATH);
  const confined = prepareConfinement(spec, program);
  const { arch } = launcher;
  const network = confined?.confinement.mode === "enforce" ? emptyNetwork(arch) : null;
  const plan = compilePlan({ argv, env, cwd, program, arch, enginePid: process.pid, joins: spec.joinFiles ?? [], network, confined });
  const descriptors = openDescriptors(spec, plan);
  const child = startLauncher(launcher.path, descriptors, spec.stdin === "pipe");
  const stdout = readPipe(descriptors.stdout.read);
  const stderr = readPipe(descriptors.stderr.read);
  const resultPipe = readPipe(descriptors.result.read);
  const notices = readNotices(spec, plan, descriptors.notices);
  const stopping = startStopping(child, spec.graceMs);
  const exited = child.exited.then(async () => {
    stopping.end();
    const report = takeReport(descriptors.plan);
    endIdlePipes([stdout, stderr, resultPipe, ...notices.pipes]);
    await notices.done;
    return settleExit({ spec, plan, child, report, stopSignal: stopping.signal() });
  });
  const asChunks = spec.resultAsChunks === true;
  const result = asChunks ? Promise.resolve(new Uint8Array()) : collectResult(resultPipe.chunks, spec.resultBytesMax);
  // Callers wait for one after the other: a rejection of the second is not unhandled meanwhile.
  exited.catch(() => {});
  result.catch(() => {});
  const { terminate, kill } = stopping;
  const { pid } = child;
  return {
    pid,
    stdout: stdout.chunks,
    stderr: stderr.chunks,
    result,
    resultChunks: asChunks ? resultPipe.chunks : null,
    stdin: inputOf(child),
    descendants: () => listDescendants(pid, Number.POSITIVE_INFINITY, confined === null ? 0 : 1),
    noticesDropped: notices.dropped,
    exited,
    terminate,
    kill,
  };
}

/** What the plan needs to know to confine the task. The program itself is always readable. */
function prepareConfinement({ confinement = null }: ProcessSpec, program: string): Confined | null {
  if (confinement === null) return null;
  const { state, facts } = probeSandbox();
  if (state.level === "none" && confinement.mode === "enforce") {
    throw fail("SANDBOX_UNAVAILABLE", "Cannot confine a task: this machine cannot hold the sandbox", {
      details: { missing: state.missing },
      hint: "Look at: workflow doctor. The setting plugins.sandbox: off runs tasks without a sandbox.",
    });
  }
  return { confinement, facts, view: viewDisk(confinement, realFile(program)) };
}

function realFile(path: string): string[] {
  try {
    return path.startsWith("/") ? [realpathSync(path)] : [];
  } catch {
    return []; // the launcher reports that it is missing
  }
}

type Notices = { pipes: PipeReader[]; done: Promise<void>; dropped: () => number };

/** Reads the keeper's reports to their end. A flood is counted and thrown away. */
function readNotices(spec: ProcessSpec, plan: Plan, pipe: Pipe | null): Notices {
  if (pipe === null) return { pipes: [], done: Promise.resolve(), dropped: () => 0 };
  const mode = spec.confinement?.mode ?? "enforce";
  const reader = new NoticeReader(plan.rules, mode);
  const source = readPipe(pipe.read);
  let told = 0;
  const pump = async () => {
    for await (const chunk of source.chunks) {
      for (const notice of reader.push(chunk)) {
        told++;
        if (mode === "observe" || told <= noticesMax) spec.onNotice?.(notice);
      }
    }
  };
  const dropped = () => reader.lost + (mode === "observe" ? 0 : Math.max(0, told - noticesMax));
  return { pipes: [source], done: pump(), dropped };
}

function inputOf(child: Bun.Subprocess): ProcessInput | null {
  const sink = child.stdin;
  if (sink === undefined || typeof sink === "number") return null;
  return {
    async write(bytes) {
      sink.write(bytes);
      await sink.flush();
    },
    end() {
      void sink.end();
    },
  };
}

function checkSpec(spec: ProcessSpec): void {
  const texts = [...spec.argv, spec.cwd, ...Object.values(spec.env)];
  const names = Object.keys(spec.env);
  const isNameBad = (name: string) => name === "" || name.includes("=") || nulByte.test(name);
  if (texts.some((text) => nulByte.test(text)) || names.some(isNameBad)) {
    throw fail("TASK_INPUT_INVALID", "Cannot start a process: an argument or the environment holds a NUL byte or a bad name");
  }
  if (spec.argv.length === 0 || !spec.cwd.startsWith("/")) {
    throw fail("INTERNAL", "Cannot start a process: no program, or a folder that is not absolute");
  }
}

type Pipe = { read: number; write: number };
type Descriptors = { stdin: number | null; plan: number; stdout: Pipe; stderr: Pipe; result: Pipe; notices: Pipe | null };

/** Standard input is a file in memory: nothing has to be pumped, and it can be opened again as /dev/stdin. The others
 * are pipes for the same reason: Bun's own are sockets, which /dev/stdout and /dev/stderr cannot open. */
function openDescriptors(spec: ProcessSpec, plan: Plan): Descriptors {
  const opened: number[] = [];
  const keep = (descriptor: number) => {
    opened.push(descriptor);
    return descriptor;
  };
  const pipe = (options?: { writeBlocks: boolean }) => {
    const { read, write } = openPipe(options);
    return { read: keep(read), write: keep(write) };
  };
  try {
    const stdin = spec.stdin === null || spec.stdin === "pipe" ? null : keep(openMemoryFile("task-stdin", spec.stdin));
    const streams = { stdout: pipe(), stderr: pipe(), result: pipe() };
    const confinement = spec.confinement ?? null;
    const user = confinement?.user ?? null;
    // Opened again as /dev/stdout they ask for their owner.
    const owned = [stdin, streams.stdout.write, streams.stderr.write, streams.result.write];
    if (user !== null) for (const descriptor of owned) if (descriptor !== null) fchownSync(descriptor, user.uid, user.gid);
    const planFile = keep(openMemoryFile("task-plan", plan.bytes));
    return { stdin, ...streams, plan: planFile, notices: confinement === null ? null : pipe({ writeBlocks: false }) };
  } catch (cause) {
    for (const descriptor of opened) closeSync(descriptor);
    throw cause;
  }
}

/** Spawns the launcher with its descriptors and closes what is the child's alone. */
function startLauncher(path: string, { stdin, stdout, stderr, result, plan, notices }: Descriptors, isInputPiped: boolean): Bun.Subprocess {
  const input = isInputPiped ? "pipe" : (stdin ?? "ignore");
  const reports = notices === null ? [] : [notices.write];
  const writeEnds = [stdout.write, stderr.write, result.write];
  try {
    return Bun.spawn([path], { argv0: "task-keeper", env: {}, stdio: [input, stdout.write, stderr.write, result.write, plan, ...reports] });
  } catch (cause) {
    for (const descriptor of [stdout.read, stderr.read, result.read, plan]) closeSync(descriptor);
    if (notices !== null) closeSync(notices.read);
    throw wrapSpawnError(cause);
  } finally {
    for (const descriptor of [stdin, ...writeEnds, ...reports]) if (descriptor !== null) closeSync(descriptor);
  }
}

type Stopping = { terminate(): void; kill(): void; end(): void; signal(): string | null };

/** The two ways to stop a tree. Both wake the supervisor first, which the task may have stopped. */
function startStopping(child: Bun.Subprocess, graceMs: number): Stopping {
  let sent: "SIGTERM" | "SIGKILL" | null = null;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const clear = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  const send = (signal: NodeJS.Signals) => {
    child.kill(signal);
    child.kill("SIGCONT");
  };
  const kill = () => {
    if (ended || sent === "SIGKILL") return;
    sent = "SIGKILL";
    clear();
    send("SIGUSR1");
  };
  const terminate = () => {
    if (ended || sent !== null) return;
    sent = "SIGTERM";
    timer = setTimeout(kill, graceMs);
    send("SIGTERM");
  };
  const end = () => {
    ended = true;
    clear();
  };
  return { terminate, kill, end, signal: () => sent };
}

/** Pipes end with the tree, unless a process handed its end to a stranger. */
function endIdlePipes(pipes: readonly PipeReader[]): void {
  const later = () => {
    if (pipes.filter((pipe) => !pipe.endIfWaiting()).length > 0) setTimeout(later, pipeIdleMs).unref();
  };
  setTimeout(later, pipeIdleMs).unref();
}

function takeReport(plan: number): LaunchReport {
  const head = new Uint8Array(reportBytes);
  readSync(plan, head, 0, reportBytes, 0);
  closeSync(plan);
  return parseReport(head);
}

type Ending = { spec: ProcessSpec; plan: Plan; child: Bun.Subprocess; report: LaunchReport; stopSignal: string | null };

function settleExit({ spec, plan, child, report, stopSignal }: Ending): ProcessExit {
  const failed = report.failed === null ? null : { step: plan.steps[report.failed.step], errno: report.failed.errno };
  // Stopped so early that a process of the launcher missed the one that was to keep it.
  if (failed?.step?.kind === "expect" && stopSignal !== null) return { exitCode: null, signal: stopSignal };
  if (failed !== null) throw explainFailure(spec, failed.step, failed.errno);
  if (report.status !== null) return parseWaitStatus(report.status);
  // Stopped before there was anything to supervise.
  if (report.pid === null && stopSignal !== null) return { exitCode: null, signal: stopSignal };
  if (report.pid !== null) killGroup(report.pid);
  throw explainLostSupervisor(child.signalCode === null ? null : String(child.signalCode));
}

/** What the sandbox could not do it was expected to: then what is known of this machine is out of date, and the next start
 * finds it out anew. */
function explainFailure(spec: ProcessSpec, step: Step | undefined, errno: number): CodedError {
  const error = explainFailedStep(spec, step, errno);
  if (error.code !== "SANDBOX_UNAVAILABLE" || spec.confinement?.mode !== "enforce") return error;
  forgetProbe({ trusts: false });
  const hint = "What this machine holds is found out anew at the next start: run it again. If it stays so look at: workflow doctor";
  return fail(error.code, error.message, { details: error.details ?? {}, hint });
}

/** The supervisor is gone before its tree: its first process died with it, this is for that one's background jobs. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // no such group: nobody was left
  }
}

function parseWaitStatus(status: number): ProcessExit {
  const number = status & 127;
  if (number === 0) return { exitCode: (status >> 8) & 255, signal: null };
  const named = Object.entries(constants.signals).find(([, value]) => value === number);
  return { exitCode: null, signal: named?.[0] ?? `SIG${number}` };
}
