// execution diff A B: what two executions have not in common, by meaning: settings, inputs, outputs, and each task run's fate.
import { renderDuration } from "../../base/index.ts";
import type { Facade } from "../../app/index.ts";
import type { Execution, TaskRun } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { diffLines, groupHunks, type LineChange } from "../line-diff.ts";
import { jsonText, visible, visibleLine } from "../render/visible.ts";
import { type Difference, diffValues, memberPath } from "../value-diff.ts";

/** Everything of an execution: the form has the first task runs only. */
type Whole = { execution: Execution["execution"]; runs: Map<string, TaskRun> };
type Slower = { path: string; a: number; b: number };

export async function diffExecutions(context: CliContext, values: { a: string; b: string }): Promise<void> {
  const { facade } = await context.connect();
  const a = await readWhole(facade, values.a);
  const b = await readWhole(facade, values.b);
  const differences = compare(a, b);
  const durations = compareDurations(a, b);
  const same = differences.length === 0;
  if (context.common.json) return context.printJson({ same, differences, durations });
  printHeads(context, a, b);
  if (same) context.print("no differences\n");
  for (const difference of differences) printDifference(context, difference);
  if (durations.length === 0) return;
  context.print(`\n${context.style.bold("Durations")}\n`);
  context.printTable(durations, [
    { title: "WHAT", value: (row) => row.path },
    { title: "A", value: (row) => renderDuration(row.a), align: "right" },
    { title: "B", value: (row) => renderDuration(row.b), align: "right" },
  ]);
}

async function readWhole(facade: Facade, id: string): Promise<Whole> {
  const { execution, tasks, tasksNextCursor } = await facade.getExecution({ id, include: ["inputs"] });
  const runs = new Map<string, TaskRun>();
  const add = (list: readonly TaskRun[]) => list.forEach((run) => runs.set(pathOf(run), run));
  add(tasks);
  for (let cursor = tasksNextCursor; cursor !== null; ) {
    const page = await facade.listTaskRuns({ executionId: id, limit: 500, cursor });
    add(page.tasks);
    cursor = page.nextCursor;
  }
  return { execution, runs };
}

function pathOf({ taskId, itemIndex }: TaskRun): string {
  return `${memberPath("tasks", taskId)}${itemIndex === null ? "" : `[${itemIndex}]`}`;
}

function compare(a: Whole, b: Whole): Difference[] {
  const paths = [...new Set([...a.runs.keys(), ...b.runs.keys()])];
  return [
    ...diffValues("", headOf(a), headOf(b)),
    ...paths.flatMap((path) => {
      const [one, other] = [a.runs.get(path), b.runs.get(path)];
      // Of a task that one of them does not have, its end is enough.
      if (one === undefined || other === undefined) return diffValues(path, one?.state, other?.state);
      return diffValues(path, runOf(one), runOf(other));
    }),
  ];
}

function headOf({ execution }: Whole) {
  const { workflowId, revision, state, reasonCode, trigger, error, inputs, outputs } = execution;
  return {
    workflow: workflowId,
    revision,
    state,
    reason: reasonCode,
    trigger: { type: trigger.type, id: trigger.id },
    error: errorOf(error),
    inputs,
    outputs,
  };
}

function runOf({ action, state, reasonCode, attempts, output, error }: TaskRun) {
  const tries = attempts.map((attempt) => ({ runtime: attempt.runtime, sandbox: attempt.sandbox?.level ?? null, error: errorOf(attempt.error) }));
  return { action, state, reason: reasonCode, error: errorOf(error), output, attempts: tries };
}

function errorOf(error: TaskRun["error"]) {
  return error === null ? null : { code: error.code, message: error.message };
}

/** Two runs never take equally long: only what a person would notice is worth a line. */
const noticed = { ms: 1000, share: 0.2 };

function compareDurations(a: Whole, b: Whole): Slower[] {
  const found: Slower[] = [];
  const add = (path: string, one: number | null, other: number | null) => {
    if (one === null || other === null) return;
    const more = Math.abs(one - other);
    if (more >= noticed.ms && more >= noticed.share * Math.max(one, other)) found.push({ path, a: one, b: other });
  };
  add("execution", a.execution.durationMs, b.execution.durationMs);
  for (const [path, run] of a.runs) add(path, lastDuration(run), lastDuration(b.runs.get(path)));
  return found;
}

function lastDuration(run: TaskRun | undefined): number | null {
  return run?.attempts.at(-1)?.durationMs ?? null;
}

function printHeads(context: CliContext, a: Whole, b: Whole): void {
  const { bold } = context.style;
  for (const [mark, { execution }] of [["---", a] as const, ["+++", b] as const]) {
    const { executionId, workflowId, revision, state, durationMs } = execution;
    const took = durationMs === null ? "" : ` in ${renderDuration(durationMs)}`;
    context.print(`${bold(visibleLine(`${mark} ${executionId} ${workflowId} revision ${revision} ${state}${took}`))}\n`);
  }
}

function printDifference(context: CliContext, { path, kind, a, b }: Difference): void {
  const { cyan } = context.style;
  context.print(`${cyan(visibleLine(path))}\n`);
  const lines = typeof a === "string" && typeof b === "string" && (a.includes("\n") || b.includes("\n")) ? textLines(a, b) : valueLines(kind, a, b);
  for (const line of lines) context.print(`${paintOf(context, line)(visible(`  ${line}`))}\n`);
}

function paintOf({ style }: CliContext, line: string): (text: string) => string {
  if (line.startsWith("-")) return style.red;
  return line.startsWith("+") ? style.green : (text) => text;
}

const marks = { same: " ", removed: "-", added: "+" } as const;

function textLines(a: string, b: string): string[] {
  const render = (change: LineChange) => `${marks[change.kind]} ${change.line}`;
  return groupHunks(diffLines(a, b), 2).flatMap((hunk) => hunk.changes.map(render));
}

function valueLines(kind: Difference["kind"], a: unknown, b: unknown): string[] {
  const render = (mark: string, value: unknown) =>
    jsonText(value)
      .split("\n")
      .map((line) => `${mark} ${line}`);
  return [...(kind === "added" ? [] : render("-", a)), ...(kind === "removed" ? [] : render("+", b))];
}
