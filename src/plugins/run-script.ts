// Runs one attempt of `core/shell.run` as a process tree of its own: environment built from empty, output as log lines,
// result from the exit, $WORKFLOW_OUTPUT and the result frame.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorBody, fail, isCoded, isObject, type Json, type JsonObject, kindOf, limits, toErrorBody } from "../base/index.ts";
import { cutMark, LineSplitter, parseLine } from "../logs/index.ts";
import type { LogLevel, LogSource } from "../storage/index.ts";
import { commandFor, type ProcessExit, type ProcessHandle, type Shell, spawnProcess } from "./runtimes/index.ts";
import { parseOutputFile, parseResultFrame, type ResultFrame } from "./script-output.ts";
import { type AttemptFolders, placeBelow, readBack } from "./workspace.ts";

export type ScriptCall = {
  executionId: string;
  inputs: JsonObject;
  env: Record<string, string>;
  workdir: string | null;
  folder: string | null;
  folders: AttemptFolders;
  graceMs: number;
  onLine: (line: { source: LogSource; level: LogLevel; message: string; metadata: Json | null }) => Promise<void> | void;
};
export type ScriptOutcome = { ok: true; output: Json } | { ok: false; error: ErrorBody; retryable: boolean };
export type ScriptRun = { done: Promise<ScriptOutcome>; terminate(): void; kill(): void };

const shells: readonly Shell[] = ["sh", "bash", "bun", "python3"];
const endings: Record<Shell, string> = { sh: "sh", bash: "sh", bun: "ts", python3: "py" };
/** What an error shows of stderr: its last lines, and of those the last part. */
const stderrLinesMax = 20;
const stderrUnitsMax = 4096;
/** Linux takes 32 pages for one string (MAX_ARG_STRLEN), and for all of them a quarter of the stack's limit, 2 MiB by default. */
const variableBytesMax = 128 * 1024;
const environmentBytesMax = 1024 * 1024;

export function runScript(call: ScriptCall): ScriptRun {
  let handle: ProcessHandle;
  try {
    handle = start(call);
  } catch (cause) {
    const failed: ScriptOutcome = { ok: false, error: toErrorBody(cause), retryable: false };
    return { done: Promise.resolve(failed), terminate: () => undefined, kill: () => undefined };
  }
  const done = collect(call, handle).catch((cause: unknown): ScriptOutcome => ({ ok: false, error: toErrorBody(cause), retryable: false }));
  return { done, terminate: () => handle.terminate(), kill: () => handle.kill() };
}

function start(call: ScriptCall): ProcessHandle {
  const { script, shell: asked = "sh" } = call.inputs;
  const shell = shells.find((known) => known === asked);
  if (typeof script !== "string") throw fail("TASK_INPUT_INVALID", "Cannot run a script: inputs.script is not text");
  if (shell === undefined) throw fail("TASK_INPUT_INVALID", `Cannot run a script with shell "${String(asked)}": it is none of ${shells.join(", ")}`);
  const path = join(call.folders.workdir, `script.${endings[shell]}`);
  writeFileSync(path, script, { mode: 0o600 });
  const cwd = placeBelow(call.folders.workspace, call.workdir);
  const command = commandFor(shell, path);
  const env = { ...baseEnvironment(call), ...call.env, ...command.env };
  checkSizes(command.argv, env);
  return spawnProcess({
    argv: command.argv,
    env,
    cwd,
    stdin: null,
    graceMs: call.graceMs,
    resultBytesMax: limits.outputBytesMax,
  });
}

/** The kernel would say only that all of it is too long. @throws TASK_INPUT_INVALID naming the variable */
function checkSizes(argv: readonly string[], env: Record<string, string>): void {
  // Each string ends with a NUL, and a variable has an equals sign.
  const sizes = Object.entries(env).map(([name, value]) => ({ name, bytes: Buffer.byteLength(name) + Buffer.byteLength(value) + 2 }));
  const [largest = { name: "", bytes: 0 }] = sizes.toSorted((a, b) => b.bytes - a.bytes);
  const total = argv.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0) + sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const hint = "Pass large values in a file, such as one in $WORKSPACE.";
  const details = { variable: largest.name, bytes: largest.bytes };
  const refuse = (what: string) => fail("TASK_INPUT_INVALID", `Cannot run a script: ${what}`, { details, hint });
  if (largest.bytes > variableBytesMax) throw refuse(`the variable ${largest.name} takes ${largest.bytes} bytes, more than ${variableBytesMax}`);
  if (total > environmentBytesMax)
    throw refuse(`its environment takes ${total} bytes, more than ${environmentBytesMax}; the largest variable is ${largest.name}`);
}

function baseEnvironment(call: ScriptCall): Record<string, string> {
  const { workdir, workspace } = call.folders;
  const env: Record<string, string> = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: workdir,
    TMPDIR: workdir,
    WORKSPACE: workspace,
    WORKFLOW_OUTPUT: join(workdir, "output"),
    WORKFLOW_RESULT: join(workdir, "result.json"),
    WORKFLOW_EXECUTION_ID: call.executionId,
    LANG: "C.UTF-8",
  };
  if (call.folder !== null) env["WORKFLOW_DIR"] = call.folder;
  return env;
}

async function collect(call: ScriptCall, handle: ProcessHandle): Promise<ScriptOutcome> {
  const stdout = new TailText(limits.stdoutOutputBytesMax);
  const lastErrors: string[] = [];
  const readOut = readLines(handle.stdout, (line, isCut) => {
    stdout.add(isCut ? line : `${line}\n`);
    return call.onLine({ source: "stdout", ...parseLine(marked(line, isCut), "INFO") });
  });
  const readErr = readLines(handle.stderr, (line, isCut) => {
    lastErrors.push(line.slice(-stderrUnitsMax));
    if (lastErrors.length > stderrLinesMax) lastErrors.shift();
    return call.onLine({ source: "stderr", ...parseLine(marked(line, isCut), "ERROR") });
  });
  // The result may be refused for its size while the task goes on: it is looked at when the task has ended.
  const framed = handle.result.then(
    (bytes) => ({ bytes, error: null }),
    (cause: unknown) => ({ bytes: null, error: resultError(cause) }),
  );
  const exit = await handle.exited;
  await Promise.all([readOut, readErr]);
  const result = await framed;
  if (result.error !== null) return { ok: false, error: result.error, retryable: false };
  return judge(call, { exit, frame: findFrame(call, result.bytes ?? new Uint8Array()), stdout: stdout.text(), lastErrors });
}

/** A piece of a line says in the log that it goes on. */
function marked(line: string, isCut: boolean): string {
  return isCut ? `${line}${cutMark}` : line;
}

/** Reads no further than what was read is taken: a task that floods its output waits, and memory stays bounded. */
async function readLines(chunks: AsyncIterable<Uint8Array>, onLine: (line: string, isCut: boolean) => Promise<void> | void): Promise<void> {
  let taken: Promise<void> | null = null;
  const splitter = new LineSplitter((line, isCut) => {
    const busy = onLine(line, isCut);
    if (busy !== undefined) taken = busy;
  });
  for await (const chunk of chunks) {
    splitter.push(chunk);
    await taken;
  }
  splitter.end();
}

/** The frame on descriptor 3, else the one in the result file. */
function findFrame(call: ScriptCall, onDescriptor: Uint8Array): ResultFrame | null {
  const { workdir } = call.folders;
  const bytes =
    onDescriptor.byteLength > 0 ? onDescriptor : readBack(workdir, { name: "result.json", as: "$WORKFLOW_RESULT" }, limits.outputBytesMax);
  const text = bytes === null ? "" : new TextDecoder().decode(bytes).trim();
  return text === "" ? null : parseResultFrame(text);
}

/** A result that is too large is the task's mistake like any other that is wrong with it. */
function resultError(cause: unknown): ErrorBody {
  const body = toErrorBody(cause);
  return isCoded(cause, "TOO_LARGE") ? { ...body, code: "PLUGIN_OUTPUT_INVALID", kind: kindOf("PLUGIN_OUTPUT_INVALID") } : body;
}

function judge(call: ScriptCall, end: { exit: ProcessExit; frame: ResultFrame | null; stdout: string; lastErrors: string[] }): ScriptOutcome {
  const { exit, frame } = end;
  if (frame !== null && "error" in frame) return { ok: false, error: frame.error, retryable: frame.retryable };
  if (exit.exitCode !== 0) return { ok: false, error: exitError(exit, end.lastErrors), retryable: true };
  const written = readBack(call.folders.workdir, { name: "output", as: "$WORKFLOW_OUTPUT" }, limits.outputBytesMax);
  const members = written === null ? {} : parseOutputFile(new TextDecoder().decode(written));
  const result = frame !== null && isObject(frame.output) ? (frame.output as JsonObject) : {};
  return { ok: true, output: { exitCode: 0, stdout: end.stdout, ...members, ...result } };
}

function exitError(exit: ProcessExit, lastErrors: string[]): ErrorBody {
  const how = exit.exitCode === null ? `was ended by ${exit.signal}` : `exited with ${exit.exitCode}`;
  const stderr = lastErrors.join("\n").slice(-stderrUnitsMax);
  const details = { exitCode: exit.exitCode, signal: exit.signal, stderr };
  return { code: "PLUGIN_EXIT", kind: kindOf("PLUGIN_EXIT"), message: `The script ${how}`, details };
}

/** The last part of a text that comes in pieces. */
class TailText {
  readonly #bytesMax: number;
  #text = "";

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(piece: string): void {
    this.#text += piece;
    // Cut rarely: twice the bound is kept in between.
    if (this.#text.length > this.#bytesMax * 2) this.#text = this.#text.slice(-this.#bytesMax);
  }

  text(): string {
    const trimmed = this.#text.trim();
    const bytes = Buffer.from(trimmed);
    return bytes.byteLength <= this.#bytesMax
      ? trimmed
      : bytes
          .subarray(bytes.byteLength - this.#bytesMax)
          .toString("utf8")
          .replace(/^�+/, "")
          .trim();
  }
}
