// What the tests of process trees share: starting a task that carries a mark in its environment, which its descendants
// inherit, and finding whoever still carries it.

import { readdirSync, readFileSync } from "node:fs";
import { spawnProcess } from "../../src/plugins/runtimes/index.ts";
import type { ProcessExit, ProcessHandle, ProcessSpec } from "../../src/plugins/runtimes/index.ts";

export const onLinux = process.platform === "linux";
export const asRoot = process.getuid?.() === 0;
const taskPath = "/usr/local/bin:/usr/bin:/bin";

export type Task = ProcessHandle & { mark: string };

export function startTask(argv: readonly string[], more: Partial<ProcessSpec> = {}): Task {
  const mark = crypto.randomUUID();
  const env = { PATH: taskPath, TASK_MARK: mark };
  const spec = { argv, env, cwd: "/", stdin: null, graceMs: 10_000, resultBytesMax: 1024 * 1024, ...more };
  return { ...spawnProcess(spec), mark };
}

export function startScript(script: string, more: Partial<ProcessSpec> = {}): Task {
  return startTask(["sh", "-c", script], more);
}

export type Finished = { exit: ProcessExit; stdout: string; stderr: string; result: Uint8Array };

export async function finish(task: ProcessHandle): Promise<Finished> {
  const [stdout, stderr, result, exit] = await Promise.all([readText(task.stdout), readText(task.stderr), task.result, task.exited]);
  return { exit, stdout, stderr, result };
}

export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) kept.push(chunk);
  return Buffer.concat(kept).toString();
}

/** Waits until the task has printed a line that holds the word and returns it; the rest of the output is thrown away. */
export async function waitForOutput(task: ProcessHandle, word: string): Promise<string> {
  let text = "";
  while (!text.includes(word) || !text.endsWith("\n")) {
    const { done, value } = await task.stdout.next();
    if (done === true) throw new Error(`the task ended without printing ${word}`);
    text += Buffer.from(value).toString();
  }
  void readText(task.stdout);
  void readText(task.stderr);
  return text;
}

/** The pid of the task's first process, which the task prints after `ready`. */
export async function waitForPid(task: ProcessHandle): Promise<number> {
  const [, pid] = /^ready (\d+)$/m.exec(await waitForOutput(task, "ready")) ?? [];
  if (pid === undefined) throw new Error("the task printed no pid");
  return Number(pid);
}

/** Pids of living processes that carry the mark. */
export function marked(mark: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => readEnvironment(pid).includes(`TASK_MARK=${mark}`)).map(Number);
}

function readEnvironment(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return ""; // gone meanwhile, or another user's
  }
}

export function isRunning(pid: number, command: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim() === command;
  } catch {
    return false;
  }
}

/** Whether a process runs; a zombie that its new parent has not noticed yet does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return false;
  }
}

/** Polls until the condition holds. */
export async function waitUntil(what: string, condition: () => boolean, deadlineMs = 10_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`deadline passed: ${what}`);
    await Bun.sleep(5);
  }
}
