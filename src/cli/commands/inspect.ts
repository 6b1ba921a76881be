// execution inspect: everything known of an execution, enough to see why it failed.
import { fail, isObject, renderDuration } from "../../base/index.ts";
import type { Execution, TaskRun } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { paintState } from "../render/style.ts";
import { renderPairs } from "../render/table.ts";
import { jsonText, visible, visibleLine } from "../render/visible.ts";

const includable = ["inputs", "timeline", "trace"];

export async function inspectExecution(context: CliContext, values: { id: string; include: string | null }): Promise<void> {
  const include = values.include === null ? [] : values.include.split(",").map((part) => part.trim());
  const odd = include.find((part) => !includable.includes(part));
  if (odd !== undefined) throw fail("USAGE", `Cannot include "${odd}": not one of ${includable.join(", ")}`);
  const { facade } = await context.connect();
  const found = await facade.getExecution({ id: values.id, ...(include.length === 0 ? {} : { include }) });
  if (context.common.json) return context.printJson(found);
  printExecution(context, found);
  if (found.tasksNextCursor !== null) context.note("There are more task runs; --json gives a cursor for them.");
}

function printExecution(context: CliContext, found: Execution): void {
  const { style } = context;
  context.print(renderPairs(executionPairs(context, found), style));
  if (found.tasks.length > 0) {
    context.print(`\n${style.bold("Tasks")}\n`);
    context.printTable(found.tasks, [
      { title: "TASK", value: runName },
      { title: "STATE", value: (run) => run.state, paint: (run) => (text) => paintState(style, run.state, text) },
      { title: "REASON", value: (run) => (run.reasonCode === run.state ? "" : (run.reasonCode ?? "")) },
      { title: "TRIES", value: (run) => String(run.attempts.length), align: "right" },
      { title: "STARTED", value: (run) => run.attempts[0]?.startedAt ?? "" },
      { title: "TOOK", value: tookText, align: "right" },
      { title: "ERROR", value: (run) => (run.error === null ? "" : `${run.error.code}: ${run.error.message}`) },
    ]);
  }
  if (found.timeline !== undefined) {
    context.print(`\n${style.bold("Timeline")}\n`);
    for (const { time, event, taskId, message } of found.timeline) {
      const parts = [event, taskId, message].filter((part) => part !== null);
      context.print(`${style.dim(time)} ${visibleLine(parts.join("  "))}\n`);
    }
  }
  if (found.trace !== undefined) {
    context.print(`\n${style.bold("Trace")}\n`);
    for (const event of found.trace) context.print(`${jsonText(event, 0)}\n`);
  }
}

const runName = (run: TaskRun) => `${run.taskId}${run.itemIndex === null ? "" : `[${run.itemIndex}]`}${run.phase === null ? "" : ` (${run.phase})`}`;

function tookText(run: TaskRun): string {
  const last = run.attempts.at(-1);
  return last === undefined || last.durationMs === null ? "" : renderDuration(last.durationMs);
}

function executionPairs({ style }: CliContext, { execution }: Execution): [string, string][] {
  const { trigger, error } = execution;
  const isEmpty = (value: unknown) => value === null || value === undefined || (isObject(value) && Object.keys(value).length === 0);
  const valueText = (value: unknown) => (isEmpty(value) ? null : jsonText(value));
  const startedBy = [trigger.type, trigger.id, trigger.scheduledAt, trigger.by === null ? null : `by ${trigger.by}`].filter((part) => part !== null);
  const pairs: [string, string | null][] = [
    ["execution", execution.executionId],
    ["workflow", `${execution.workflowId} revision ${execution.revision}`],
    ["state", paintState(style, execution.state)],
    ["reason", execution.reasonCode === execution.state ? null : execution.reasonCode],
    ["message", execution.message],
    ["trigger", startedBy.join(" ")],
    ["created", execution.createdAt],
    ["started", execution.startedAt],
    ["ended", execution.endedAt],
    ["took", execution.durationMs === null ? null : renderDuration(execution.durationMs)],
    ["digest", execution.digest],
    ["error", error === null ? null : `${error.code}: ${error.message}`],
    ["hint", error?.hint ?? null],
    ["inputs", valueText(execution.inputs)],
    ["outputs", valueText(execution.outputs)],
  ];
  // The state is painted already; everything else may hold what a task wrote.
  return pairs.flatMap(([name, value]) => (value === null ? [] : [[name, name === "state" ? value : visible(value)]]));
}
