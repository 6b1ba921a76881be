// Wires the engine's port for attempts to the plugins layer: folders, the script runner, and the names that are not there yet.
import { fail, parseDuration, toErrorBody } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { TaskCall, TaskInvocation, TaskInvoker } from "../engine/index.ts";
import { runScript, type Workspaces } from "../plugins/index.ts";

export function createInvoker(loaded: LoadedConfig, workspaces: Workspaces): TaskInvoker {
  const graceMs = parseDuration(loaded.config.execution.killGrace) ?? 5000;
  return {
    // The supervisor is there, but no layer that confines: said with every attempt until the sandbox enforces.
    sandbox: { level: "off", layers: [] },
    invoke: (call) => (call.action === "core/shell.run" ? invokeScript(workspaces, call, graceMs) : refuse(call)),
    dispose: async (executionId) => workspaces.close(executionId),
  };
}

function invokeScript(workspaces: Workspaces, call: TaskCall, graceMs: number): TaskInvocation {
  const folders = workspaces.open(call.executionId, call);
  const run = runScript({
    executionId: call.executionId,
    inputs: call.inputs,
    env: call.env,
    workdir: call.workdir,
    folder: call.folder,
    folders,
    graceMs,
    onLine: call.onLine,
  });
  const done = run.done.finally(() => workspaces.closeAttempt(folders));
  return { done, terminate: () => run.terminate(), kill: () => run.kill() };
}

/** Starts are refused before; this is for what only shows at run. */
function refuse(call: TaskCall): TaskInvocation {
  const error = toErrorBody(fail("NOT_AVAILABLE_YET", `Cannot run action "${call.action}": this version cannot run it yet`));
  return { done: Promise.resolve({ ok: false, error, retryable: false }), terminate: () => undefined, kill: () => undefined };
}
