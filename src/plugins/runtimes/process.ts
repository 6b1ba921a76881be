// One task as one process tree: spawned through the launcher, talked to over pipes, ended as a whole. What the task may
// do is the plan's business (plugins/sandbox), what its output means the caller's.

import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import { fail } from "../../base/index.ts";
import { compilePlan, openLauncher, openMemoryFile, openPipe, parseReport, reportBytes, resolveProgram } from "../sandbox/index.ts";
import type { LaunchReport, Plan } from "../sandbox/index.ts";
import { explainFailedStep, explainLostSupervisor, wrapSpawnError } from "./launch-errors.ts";
import { readPipe } from "./pipe-reader.ts";
import type { PipeReader } from "./pipe-reader.ts";

export type ProcessSpec = {
  /** The program (a path, or a name looked up in the task's PATH) and its arguments. */
  argv: readonly string[];
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  /** Absolute. */
  cwd: string;
  /** All of standard input; null is an empty one. */
  stdin: Uint8Array | null;
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Most bytes of the result on descriptor 3. */
  resultBytesMax: number;
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

/** Starts a process tree. From the thread it is called on: the tree is killed when that thread ends.
 * @throws SANDBOX_UNAVAILABLE when processes cannot be started here, TASK_INPUT_INVALID for text no process can be given. */
export function spawnProcess(spec: ProcessSpec): ProcessHandle {
  checkSpec(spec);
  const launcher = openLauncher();
  const [program = ""] = spec.argv;
  const { argv, env, cwd } = spec;
  const plan = compilePlan({ argv, env, cwd, program: resolveProgram(program, env.PATH), arch: launcher.arch, enginePid: process.pid });
  const descriptors = openDescriptors(spec, plan);
  const child = startLauncher(launcher.path, descriptors);
  const stdout = readPipe(descriptors.stdout.read);
  const stderr = readPipe(descriptors.stderr.read);
  const resultPipe = readPipe(descriptors.result.read);
  const stopping = startStopping(child, spec.graceMs);
  const exited = child.exited.then(() => {
    stopping.end();
    endIdlePipes([stdout, stderr, resultPipe]);
    return settleExit({ spec, plan, child, report: takeReport(descriptors.plan), stopSignal: stopping.signal() });
  });
  const result = collectResult(resultPipe.chunks, spec.resultBytesMax);
  // Callers wait for one after the other: a rejection of the second is not unhandled meanwhile.
  exited.catch(() => {});
  result.catch(() => {});
  const { terminate, kill } = stopping;
  return { pid: child.pid, stdout: stdout.chunks, stderr: stderr.chunks, result, exited, terminate, kill };
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
type Descriptors = { stdin: number | null; plan: number; stdout: Pipe; stderr: Pipe; result: Pipe };

/** Standard input is a file in memory: nothing has to be pumped, and it can be opened again as /dev/stdin. The others
 * are pipes for the same reason: Bun's own are sockets, which /dev/stdout and /dev/stderr cannot open. */
function openDescriptors(spec: ProcessSpec, plan: Plan): Descriptors {
  const opened: number[] = [];
  const keep = (descriptor: number) => {
    opened.push(descriptor);
    return descriptor;
  };
  const pipe = () => {
    const { read, write } = openPipe();
    return { read: keep(read), write: keep(write) };
  };
  try {
    return {
      stdin: spec.stdin === null ? null : keep(openMemoryFile("task-stdin", spec.stdin)),
      plan: keep(openMemoryFile("task-plan", plan.bytes)),
      stdout: pipe(),
      stderr: pipe(),
      result: pipe(),
    };
  } catch (cause) {
    for (const descriptor of opened) closeSync(descriptor);
    throw cause;
  }
}

/** Spawns the launcher with its five descriptors and closes what is the child's alone. */
function startLauncher(path: string, { stdin, stdout, stderr, result, plan }: Descriptors): Bun.Subprocess {
  try {
    return Bun.spawn([path], {
      argv0: "task-keeper",
      env: {},
      stdio: [stdin ?? "ignore", stdout.write, stderr.write, result.write, plan],
    });
  } catch (cause) {
    for (const descriptor of [stdout.read, stderr.read, result.read, plan]) closeSync(descriptor);
    throw wrapSpawnError(cause);
  } finally {
    for (const descriptor of [stdin, stdout.write, stderr.write, result.write]) if (descriptor !== null) closeSync(descriptor);
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
  if (report.failed !== null) throw explainFailedStep(spec, plan.steps[report.failed.step], report.failed.errno);
  if (report.status !== null) return parseWaitStatus(report.status);
  // Stopped before there was anything to supervise.
  if (report.pid === null && stopSignal !== null) return { exitCode: null, signal: stopSignal };
  if (report.pid !== null) killGroup(report.pid);
  throw explainLostSupervisor(child.signalCode === null ? null : String(child.signalCode));
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

/** All bytes of the result. What is too much is still read, since a full pipe would hold the task up. */
async function collectResult(chunks: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes <= bytesMax) kept.push(chunk);
    else kept.length = 0;
  }
  if (bytes <= bytesMax) return Buffer.concat(kept);
  throw fail("TOO_LARGE", `Cannot take the result of a task: ${bytes} bytes, more than ${bytesMax}`, {
    details: { bytes, bytesMax },
    hint: "Return large results as artifacts.",
  });
}
