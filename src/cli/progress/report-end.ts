// How an ended execution is told: the answer on stdout, what happened on stderr, and the exit code.
import { fail, isObject, renderDuration } from "../../base/index.ts";
import type { Facade } from "../../app/index.ts";
import type { Execution, TaskRun } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { paintState } from "../render/style.ts";
import { jsonText, visible, visibleLine } from "../render/visible.ts";

const tailLines = 20;
const runsMax = 500;

/** Prints the end of a run; returns 0 for SUCCESS, else 1. */
export async function reportEnd(context: CliContext, facade: Facade, ended: Execution): Promise<number> {
  const { execution } = ended;
  const succeeded = execution.state === "SUCCESS";
  if (context.common.json) {
    context.printJson(ended);
    if (!succeeded) context.printError(failureOf(ended, failedRun(ended, await allRuns(facade, ended))));
    return succeeded ? 0 : 1;
  }
  if (succeeded) printAnswer(context, ended, await allRuns(facade, ended));
  else await explainFailure(context, facade, ended);
  const took = execution.durationMs === null ? "" : ` in ${renderDuration(execution.durationMs)}`;
  const digest = execution.digest === null ? "" : `  digest ${execution.digest.slice(0, 12)}`;
  context.note(`${paintState(context.errorStyle, execution.state)}${took}${digest}  execution ${execution.executionId}`);
  context.note(context.errorStyle.dim(`More: ${context.program} execution inspect ${execution.executionId}`));
  return succeeded ? 0 : 1;
}

/** The envelope's error of an execution that did not succeed. */
function failureOf({ execution }: Execution, failed: TaskRun | null): Error {
  const cause = execution.error === null ? (execution.reasonCode ?? execution.state) : `${execution.error.code}: ${execution.error.message}`;
  const details = {
    executionId: execution.executionId,
    state: execution.state,
    reasonCode: execution.reasonCode,
    task: failed?.taskId ?? null,
    error: execution.error,
  };
  return fail("EXECUTION_FAILED", `Execution of "${execution.workflowId}" ended as ${execution.state}: ${cause}`, {
    details,
    hint: execution.error?.hint ?? `See what happened: workflow execution inspect ${execution.executionId}`,
  });
}

// The one whose error is the execution's: null where that has one of its own, such as its time being over. Of equal ones the first
// counts; handlers come after what made them run.
function failedRun({ execution }: Execution, runs: readonly TaskRun[]): TaskRun | null {
  const { error } = execution;
  if (error === null) return null;
  const wanted = jsonText(error, 0);
  const failed = runs.filter((run) => run.state === "FAILED" && run.error !== null && jsonText(run.error, 0) === wanted);
  const rank = (run: TaskRun) => `${run.phase === null ? 0 : 1} ${endOf(run)}`;
  return failed.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0] ?? null;
}

const endOf = (run: TaskRun) => run.attempts.at(-1)?.endedAt ?? "";

async function explainFailure(context: CliContext, facade: Facade, ended: Execution): Promise<void> {
  const run = failedRun(ended, await allRuns(facade, ended));
  if (run !== null) {
    const { executionId } = ended.execution;
    const page = await facade.listLogs({ executionId, taskId: run.taskId, source: ["stderr"], order: "desc", limit: tailLines });
    const lines = page.items.filter((item) => item.itemIndex === run.itemIndex).toReversed();
    const { errorStyle: style } = context;
    if (lines.length > 0) context.note(style.dim(`Last lines of ${visibleLine(run.taskId)} on stderr:`));
    for (const line of lines) context.note(`  ${visible(line.message)}`);
  }
  const failure = failureOf(ended, run);
  context.printError(run === null ? failure : withTask(failure, run));
}

function withTask(failure: Error, run: TaskRun): Error {
  const item = run.itemIndex === null ? "" : ` (item ${run.itemIndex})`;
  const code = run.error === null ? (run.reasonCode ?? "") : `${run.error.code}: ${run.error.message}`;
  const hint = run.error?.hint === undefined ? {} : { hint: run.error.hint };
  return fail("EXECUTION_FAILED", `Task "${run.taskId}"${item} failed: ${code}`, { cause: failure, ...hint });
}

async function allRuns(facade: Facade, ended: Execution): Promise<TaskRun[]> {
  const runs = [...ended.tasks];
  for (let cursor = ended.tasksNextCursor; cursor !== null; ) {
    const page = await facade.listTaskRuns({ executionId: ended.execution.executionId, limit: runsMax, cursor });
    runs.push(...page.tasks);
    cursor = page.nextCursor;
  }
  return runs;
}

// Declared outputs, else what the last task to end said at its end.
function printAnswer(context: CliContext, { execution }: Execution, runs: readonly TaskRun[]): void {
  if (isObject(execution.outputs) && Object.keys(execution.outputs).length > 0) {
    context.print(`${jsonText(execution.outputs)}\n`);
    return;
  }
  const done = runs.filter((run) => run.phase === null && run.attempts.length > 0);
  const last = done.toSorted((a, b) => (endOf(a) < endOf(b) ? -1 : 1)).at(-1);
  const stdout = last !== undefined && isObject(last.output) ? last.output["stdout"] : undefined;
  if (typeof stdout !== "string" || stdout === "") return;
  context.print(`${visible(stdout.split("\n").slice(-tailLines).join("\n"))}\n`);
}
