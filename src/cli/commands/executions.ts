// execution list, and what is asked of live ones: cancel, pause, resume, resolve.
import { fail, type Json, renderDuration } from "../../base/index.ts";
import { executionStates } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parseMoment, parsePage } from "../option-values.ts";
import { paintState } from "../render/style.ts";
import { visibleLine } from "../render/visible.ts";
import { noteMore } from "./workflows.ts";

type ListValues = {
  limit: string | null;
  cursor: string | null;
  workflow: string | null;
  state: string[];
  trigger: string | null;
  since: string | null;
  until: string | null;
  label: string | null;
};

export async function listExecutions(context: CliContext, values: ListValues): Promise<void> {
  const now = context.io.now();
  const since = parseMoment("--since", values.since, { now, ago: true });
  const until = parseMoment("--until", values.until, { now, ago: true });
  const query = {
    ...parsePage(values),
    ...(values.workflow === null ? {} : { workflow: values.workflow }),
    ...(values.state.length === 0 ? {} : { state: parseStates(values.state) }),
    ...(values.trigger === null ? {} : { trigger: values.trigger }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(values.label === null ? {} : { label: values.label }),
  };
  const { facade } = await context.connect();
  const page = await facade.listExecutions(query);
  if (context.common.json) return context.printJson(page);
  if (page.executions.length === 0) return context.note("No executions.");
  context.printTable(page.executions, [
    { title: "EXECUTION", value: (row) => row.executionId },
    { title: "WORKFLOW", value: (row) => row.workflowId },
    { title: "STATE", value: (row) => row.state, paint: (row) => (text) => paintState(context.style, row.state, text) },
    { title: "REASON", value: (row) => (row.reasonCode === row.state ? "" : (row.reasonCode ?? "")) },
    { title: "BY", value: (row) => row.trigger.type },
    { title: "CREATED", value: (row) => row.createdAt },
    { title: "TOOK", value: (row) => (row.durationMs === null ? "" : renderDuration(row.durationMs)), align: "right" },
  ]);
  noteMore(context, page.nextCursor);
}

function parseStates(texts: readonly string[]): string[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((text) => {
      const state = text.trim().toUpperCase();
      if (!(executionStates as readonly string[]).includes(state))
        throw fail("USAGE", `Cannot use --state "${text}": not one of ${executionStates.join(", ")}`);
      return state;
    });
}

export async function cancelExecution(context: CliContext, { id }: { id: string }): Promise<void> {
  const { facade } = await context.connect();
  const { already, started } = await facade.cancelExecution(id);
  if (context.common.json) return context.printJson(started);
  context.note(
    already ? `Execution ${started.executionId} was cancelled already.` : `Cancelling ${started.executionId}; it is ${started.state} now.`,
  );
}

export async function pauseExecution(context: CliContext, { id }: { id: string }): Promise<void> {
  const { facade } = await context.connect();
  const { already, started } = await facade.pauseExecution(id);
  if (context.common.json) return context.printJson(started);
  const how = already ? "was paused already" : "is paused: tasks that run now end, none start";
  context.note(`Execution ${started.executionId} ${how}. Go on with: workflow execution resume ${started.executionId}`);
}

export async function resumeExecution(context: CliContext, { id }: { id: string }): Promise<void> {
  const { facade } = await context.connect();
  const { already, started } = await facade.resumeExecution(id);
  if (context.common.json) return context.printJson(started);
  context.note(
    already ? `Execution ${started.executionId} was not paused.` : `Execution ${started.executionId} goes on; it is ${started.state} now.`,
  );
}

type ResolveArgs = { id: string; task: string; as: string | null; output: string | null };

export async function resolveTask(context: CliContext, { id, task, as, output }: ResolveArgs): Promise<void> {
  if (as !== "succeeded" && as !== "failed" && as !== "retry") throw fail("USAGE", "Cannot resolve a task: --as must be succeeded, failed or retry");
  if (output !== null && as !== "succeeded") throw fail("USAGE", `Cannot resolve a task as ${as} with an output: only one that succeeded has one`);
  const { taskId, itemIndex } = parseRunName(task);
  const { facade } = await context.connect();
  const value = output === null ? {} : { output: parseOutput(output) };
  const { started } = await facade.resolveTask({ id, taskId, itemIndex, as, ...value });
  if (context.common.json) return context.printJson(started);
  context.note(`Task ${visibleLine(task)} of ${started.executionId} counts as ${as === "retry" ? "not run: it runs again" : as}.`);
}

/** `each[3]` names an item. */
function parseRunName(text: string): { taskId: string; itemIndex: number | null } {
  const match = /^([^[\]]+)\[(\d{1,9})\]$/.exec(text);
  return match === null ? { taskId: text, itemIndex: null } : { taskId: match[1] ?? "", itemIndex: Number(match[2]) };
}

function parseOutput(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw fail("USAGE", "Cannot use --output: it is not JSON");
  }
}

export async function restartExecution(context: CliContext, { id, from }: { id: string; from: string | null }): Promise<void> {
  const { facade } = await context.connect();
  const restarted = await facade.restartExecution(from === null ? { id } : { id, from });
  if (context.common.json) return context.printJson(restarted);
  context.print(`${restarted.executionId}\n`);
  context.note(
    `Started again as ${restarted.executionId}; it is ${restarted.state}. Watch it with: workflow execution watch ${restarted.executionId}`,
  );
}
