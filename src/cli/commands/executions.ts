// execution list and execution cancel.
import { fail, renderDuration } from "../../base/index.ts";
import { executionStates } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parseMoment, parsePage } from "../option-values.ts";
import { paintState } from "../render/style.ts";
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
