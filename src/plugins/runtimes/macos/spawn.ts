// One task as one process group on macOS, confined by sandbox-exec: the same handle as on Linux. What the kernel does there
// for the tree as a whole is done by looking (tree.ts): when the engine itself is killed, its tasks stay, in their sandboxes.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { constants as system } from "node:os";
import { Readable } from "node:stream";
import type { Writable } from "node:stream";
import { fail } from "../../../base/index.ts";
import type { SandboxState } from "../../sandbox/index.ts";
import { resolveProgram } from "../../sandbox/index.ts";
import { explainFailedStep } from "../launch-errors.ts";
import { collectResult } from "../pipe-reader.ts";
import type { ProcessExit, ProcessHandle, ProcessInput, ProcessSpec } from "../process.ts";
import { checkMacEnvironment, macCommand, macTools } from "./command.ts";
import type { Ceilings, MacTools } from "./command.ts";
import { lookUpPlaces } from "./places.ts";
import { probeMac } from "./probe.ts";
import { profileFor } from "./profile.ts";
import { MacTree } from "./tree.ts";

/** The machine as tasks are started on it. */
export type MacHost = { tools: MacTools; probe: () => { state: SandboxState; ceilings: Ceilings } };
const thisMac: MacHost = { tools: macTools, probe: probeMac };

/** After the tree is gone a pipe that somebody else still holds open is read no longer than this. */
const pipeIdleMs = 1000;

/** Starts a process group.
 * @throws SANDBOX_UNAVAILABLE when the confinement cannot be held here, TASK_INPUT_INVALID for variables that would act outside of it. */
export function spawnOnMac(spec: ProcessSpec, host: MacHost = thisMac): ProcessHandle {
  const [name = "", ...rest] = spec.argv;
  const program = resolveProgram(name, spec.env.PATH);
  checkMacEnvironment(spec.env);
  const [file = "", ...args] = commandOf(spec, [program, ...rest], host);
  const problem = findProblem(spec, program);
  if (problem !== null) return neverStarted(problem);
  const isPiped = spec.stdin !== null;
  const child = spawn(file, args, {
    cwd: spec.cwd,
    env: spec.env,
    detached: true,
    stdio: [isPiped ? "pipe" : "ignore", "pipe", "pipe", "pipe"],
  });
  return handleOf(spec, child, host.tools);
}

function commandOf({ confinement = null }: ProcessSpec, argv: readonly string[], { tools, probe }: MacHost): readonly string[] {
  if (confinement === null) return argv;
  const { state, ceilings } = probe();
  if (state.level === "none") {
    throw fail("SANDBOX_UNAVAILABLE", "Cannot confine a task: this machine cannot hold the sandbox", {
      details: { missing: state.missing },
      hint: "Look at: workflow doctor. The setting plugins.sandbox: off runs tasks without a sandbox.",
    });
  }
  const profile = profileFor(confinement, lookUpPlaces(argv[0] ?? ""));
  return macCommand({ tools, ceilings, profile, limits: confinement.limits, argv });
}

/** What the shell and sandbox-exec would only say in words of their own. */
function findProblem({ argv, cwd }: ProcessSpec, program: string): Error | null {
  const explain = (call: "chdir" | "execve", error: unknown) => {
    const errno = system.errno[(error as NodeJS.ErrnoException).code as keyof typeof system.errno] ?? system.errno.EIO;
    return explainFailedStep({ argv, cwd }, { kind: "syscall", call, args: [] }, errno);
  };
  try {
    if (!statSync(cwd).isDirectory()) return explain("chdir", { code: "ENOTDIR" });
  } catch (error) {
    return explain("chdir", error);
  }
  try {
    if (!statSync(program).isFile()) return explain("execve", { code: "EACCES" });
    accessSync(program, constants.X_OK);
    return null;
  } catch (error) {
    return explain("execve", error);
  }
}

function handleOf(spec: ProcessSpec, child: ChildProcess, { ps }: MacTools): ProcessHandle {
  const [, stdout, stderr, resultPipe] = child.stdio as unknown as [null, Readable, Readable, Readable];
  // The group's number is the child's; without one the start failed, and `exited` says so.
  const pid = child.pid ?? 0;
  const tree = pid > 0 ? new MacTree(pid, ps) : null;
  const stopping = startStopping(tree, spec.graceMs);
  const exited = waitForExit(child).then(async (exit) => {
    stopping.end();
    await tree?.end();
    for (const stream of [stdout, stderr, resultPipe]) endWhenIdle(stream);
    return exit;
  });
  const asChunks = spec.resultAsChunks === true;
  const chunks = chunksOf(resultPipe);
  const result = asChunks ? Promise.resolve(new Uint8Array()) : collectResult(chunks, spec.resultBytesMax);
  // Callers wait for one after the other: a rejection of the second is not unhandled meanwhile.
  exited.catch(() => {});
  result.catch(() => {});
  return {
    pid,
    stdout: chunksOf(stdout),
    stderr: chunksOf(stderr),
    result,
    resultChunks: asChunks ? chunks : null,
    stdin: inputOf(child.stdin, spec.stdin),
    descendants: () => tree?.look().map((member) => member.pid) ?? [],
    noticesDropped: () => 0,
    exited,
    terminate: stopping.terminate,
    kill: stopping.kill,
  };
}

function waitForExit(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve, reject) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    child.once("error", (cause) => reject(fail("SANDBOX_UNAVAILABLE", `Cannot start tasks: ${cause.message}`, { cause })));
  });
}

type Stopping = { terminate(): void; kill(): void; end(): void };

function startStopping(tree: MacTree | null, graceMs: number): Stopping {
  let sent: "SIGTERM" | "SIGKILL" | null = null;
  let hasEnded = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const kill = () => {
    if (hasEnded || sent === "SIGKILL") return;
    sent = "SIGKILL";
    if (timer !== null) clearTimeout(timer);
    tree?.signal("SIGKILL");
  };
  const terminate = () => {
    if (hasEnded || sent !== null) return;
    sent = "SIGTERM";
    timer = setTimeout(kill, graceMs);
    tree?.signal("SIGTERM");
  };
  const end = () => {
    hasEnded = true;
    if (timer !== null) clearTimeout(timer);
  };
  return { terminate, kill, end };
}

/** A broken pipe is an end like any other. */
async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch {
    stream.destroy();
  }
}

/** Ends a pipe that a process outside of the tree holds open, once nothing came for a while. */
function endWhenIdle(stream: Readable): void {
  let before = -1;
  const look = () => {
    if (stream.readableEnded || stream.destroyed) return;
    if (stream.readableLength === 0 && before === 0) return void stream.destroy();
    before = stream.readableLength;
    setTimeout(look, pipeIdleMs).unref();
  };
  setTimeout(look, pipeIdleMs).unref();
}

function inputOf(sink: Writable | null, given: ProcessSpec["stdin"]): ProcessInput | null {
  if (sink === null) return null;
  // Who does not read its input to the end has its reasons.
  sink.on("error", () => {});
  if (given !== "pipe") {
    sink.end(given);
    return null;
  }
  return {
    write: (bytes) => new Promise((resolve, reject) => sink.write(bytes, (error) => (error ? reject(error) : resolve()))),
    end: () => void sink.end(),
  };
}

/** The handle of a start that failed before there was a process. */
function neverStarted(problem: Error): ProcessHandle {
  const nothing = () => chunksOf(Readable.from([]));
  const exited = Promise.reject(problem);
  exited.catch(() => {});
  return {
    pid: 0,
    stdout: nothing(),
    stderr: nothing(),
    result: Promise.resolve(new Uint8Array()),
    resultChunks: null,
    stdin: null,
    descendants: () => [],
    noticesDropped: () => 0,
    exited,
    terminate: () => {},
    kill: () => {},
  };
}
