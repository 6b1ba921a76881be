// Runs a plugin: reads the call from standard input, runs exactly that action, writes one result. A warm worker does so again and again.
import { LineInput, writeFully, writeResult } from "./channel.ts";
import { openCall, parseRequest, PluginFailure, type Request } from "./context.ts";
import type { ActionTypes, AnyActions, Plugin } from "./plugin.ts";
import { installStreams, settleStreams } from "./streams.ts";

type ErrorFrame = { error: { code: string; message: string; details?: Record<string, unknown>; hint?: string; retryable?: boolean } };

/** Tests import a plugin to call its actions themselves. */
const isTest = process.env["NODE_ENV"] === "test";
// Before another module of the plugin keeps them.
if (!isTest) installStreams();

/** Says what the plugin can do, and runs the action that the engine calls. To be called once, by the entry point. */
export function definePlugin<Types extends ActionTypes = AnyActions>(plugin: Plugin<NoInfer<Types>>): Plugin<Types> {
  if (!isTest) queueMicrotask(() => void run(plugin as Plugin<AnyActions>));
  return plugin;
}

async function run(plugin: Plugin<AnyActions>): Promise<void> {
  const input = new LineInput();
  // A promise that nothing settles lets Bun end quietly, which the engine would take for success.
  process.once("beforeExit", () => {
    writeResult(`${JSON.stringify({ error: { code: "TASK_FAILED", message: "The action never ended: nothing is left that it waits for" } })}\n`);
    process.exit(1);
  });
  if (process.env["WORKFLOW_WARM"] !== undefined) return runWarm(plugin, input);
  const frame = await answer(plugin, input.next() ?? "");
  await settleStreams();
  writeResult(`${frame.line}\n`);
  // What the action left open (sockets, timers) must not hold the result up.
  process.exit(frame.isError ? 1 : 0);
}

/** Many calls, one at a time. Each brings a mark: printed on both streams, then before the result, it tells what belongs to the call.
 * Waiting for the next line stands the program still: nothing of a call goes on between calls. */
async function runWarm(plugin: Plugin<AnyActions>, input: LineInput): Promise<void> {
  for (let line = input.next(); line !== null; line = input.next()) {
    const { mark } = JSON.parse(line) as { mark: string };
    const frame = await answer(plugin, line);
    await settleStreams();
    writeFully(1, `${mark}\n`);
    writeFully(2, `${mark}\n`);
    writeResult(`${mark} ${frame.line}\n`);
  }
  process.exit(0);
}

type Frame = { line: string; isError: boolean };

async function answer(plugin: Plugin<AnyActions>, line: string): Promise<Frame> {
  try {
    const request = parseRequest(line);
    const name = request.action.slice(request.action.lastIndexOf(".") + 1);
    const handler = Object.hasOwn(plugin.actions, name) ? plugin.actions[name] : undefined;
    if (handler === undefined) throw new PluginFailure("ACTION_NOT_FOUND", `The plugin has no action "${name}"`, { retryable: false });
    enter(request.context);
    const call = openCall(request);
    try {
      const output = (await handler(request.input, call.context)) ?? {};
      return { line: JSON.stringify(call.artifacts.length === 0 ? { output } : { output, artifacts: call.artifacts }), isError: false };
    } finally {
      call.end();
    }
  } catch (thrown) {
    return { line: JSON.stringify(errorFrame(thrown)), isError: true };
  }
}

/** The folder of a warm worker's last call; before the first the worker's own. */
let lastWorkdir = process.env["WORKFLOW_WARM"];

/** A warm worker's environment cannot know the folder and the execution of each call. A HOME that was granted stays. */
function enter({ workdir, execution_id }: Request["context"]): void {
  if (lastWorkdir === undefined) return;
  for (const name of ["HOME", "TMPDIR"]) if (process.env[name] === lastWorkdir) process.env[name] = workdir;
  process.env["WORKFLOW_EXECUTION_ID"] = execution_id;
  lastWorkdir = workdir;
}

/** Errors that were made for the frame keep their code; any other is TASK_FAILED, with its stack in the log. */
function errorFrame(thrown: unknown): ErrorFrame {
  if (thrown instanceof PluginFailure) return { error: { code: thrown.code, message: thrown.message, ...thrown.options } };
  if (!(thrown instanceof Error)) return { error: { code: "TASK_FAILED", message: String(thrown) } };
  const { code, details, hint, retryable, syscall, path } = thrown as Error & Record<string, unknown>;
  if (thrown.name === "CodedError" && typeof code === "string") {
    const error: ErrorFrame["error"] = { code, message: thrown.message };
    if (typeof details === "object" && details !== null) error.details = details as Record<string, unknown>;
    if (typeof hint === "string") error.hint = hint;
    if (typeof retryable === "boolean") error.retryable = retryable;
    return { error };
  }
  writeFully(2, `${thrown.stack ?? thrown.message}\n`);
  const known = Object.entries({ name: thrown.name, errno: code, syscall, path }).filter(([, value]) => typeof value === "string");
  return { error: { code: "TASK_FAILED", message: thrown.message === "" ? thrown.name : thrown.message, details: Object.fromEntries(known) } };
}
