// trigger list, next, health, backfill, fire. What the last two start needs somebody to run it: a server, or else this process.
import type { Facade } from "../../app/index.ts";
import { fail, toIso } from "../../base/index.ts";
import type { Backfill, Execution, TriggerItem } from "../../model/index.ts";
import { findServer, openStore } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { parseCount, parseMoment, parsePage } from "../option-values.ts";
import { visibleLine } from "../render/visible.ts";
import { noteMore } from "./workflows.ts";

type PageValues = { limit: string | null; cursor: string | null };

export async function listTriggers(context: CliContext, { workflow, ...values }: PageValues & { workflow: string | null }): Promise<void> {
  const query = { ...parsePage(values), ...(workflow === null ? {} : { workflow }) };
  const { facade } = await context.connect();
  const page = await facade.listTriggers(query);
  if (context.common.json) return context.printJson(page);
  if (page.triggers.length === 0) return context.note("No triggers.");
  context.printTable(page.triggers, [
    { title: "WORKFLOW", value: (row) => row.workflowId },
    { title: "ID", value: (row) => row.id },
    { title: "TYPE", value: (row) => row.type },
    { title: "WHEN", value: whenOf },
    { title: "NEXT", value: (row) => (row.enabled ? (row.next ?? "") : "disabled") },
    { title: "LAST", value: (row) => (row.last === null ? "" : `${row.last.scheduledAt ?? ""} ${row.last.state}`.trim()) },
  ]);
  noteMore(context, page.nextCursor);
}

function whenOf({ cron, timezone, method, path, paths }: TriggerItem): string {
  if (cron !== null) return timezone === "UTC" ? cron : `${cron} ${timezone ?? ""}`;
  return paths === null ? `${method ?? ""} ${path ?? ""}`.trim() : paths.join(" ");
}

export async function showNext(context: CliContext, values: { id: string; trigger: string | null; count: string | null }): Promise<void> {
  const count = parseCount("--count", values.count, { min: 1, max: 1000 }) ?? 5;
  const { facade } = await context.connect();
  const workflow = await facade.getWorkflow(values.id);
  const { requireDefinition } = await import("../workflow-source.ts");
  const { nextCronTimes } = await import("../../workflow/index.ts");
  const definition = await requireDefinition(context, { file: values.id, source: workflow.source, folder: workflow.folder }, "show");
  const found = definition.triggers.filter(({ id }) => values.trigger === null || id === values.trigger);
  if (values.trigger !== null && found.length === 0)
    throw fail("TRIGGER_NOT_FOUND", `Cannot show trigger "${values.trigger}" of "${values.id}": it has no such trigger`);
  const now = context.io.now();
  const triggers = found.flatMap((trigger) =>
    trigger.type === "cron" ? [{ id: trigger.id, next: nextCronTimes(trigger, now, count).map(toIso) }] : [],
  );
  if (!workflow.enabled || !workflow.armed)
    context.note(`${visibleLine(values.id)} is ${workflow.enabled ? "not applied" : "disabled"}: nothing fires at these times.`);
  if (context.common.json) return context.printJson({ triggers });
  if (triggers.length === 0) return context.note("No cron triggers.");
  const rows = triggers.flatMap(({ id, next }) => next.map((time) => ({ id, time })));
  context.printTable(rows, [
    { title: "ID", value: (row) => row.id },
    { title: "NEXT", value: (row) => row.time },
  ]);
}

export async function showHealth(context: CliContext, values: PageValues): Promise<void> {
  const query = parsePage(values);
  const { facade } = await context.connect();
  const page = await facade.triggerHealth(query);
  if (context.common.json) return context.printJson(page);
  if (page.triggers.length === 0) return context.note("Every trigger fired when it should have.");
  context.printTable(page.triggers, [
    { title: "WORKFLOW", value: (row) => row.workflowId },
    { title: "ID", value: (row) => row.id },
    { title: "EXPECTED", value: (row) => row.expectedAt ?? "" },
    { title: "LAST FIRED", value: (row) => row.lastFiredAt ?? "never" },
    { title: "REASON", value: (row) => row.reason },
  ]);
  noteMore(context, page.nextCursor);
}

type Doer = { facade: Facade; isLocal: boolean };

/** A server runs what it starts; without one this process does. */
async function connectDoer(context: CliContext): Promise<Doer> {
  const loaded = await context.loadConfig();
  if (findServer(context, loaded) !== null) return { facade: (await context.connect()).facade, isLocal: false };
  const app = await openStore(context, "oneShot");
  return { facade: app.facade(app.localCaller()), isLocal: true };
}

/** How the executions of this process ended, in the given order. */
async function waitForEnds(facade: Facade, ids: readonly string[]): Promise<Execution["execution"][]> {
  const ends: Execution["execution"][] = [];
  for (const id of ids) {
    // Ends with the execution.
    const lines = facade.streamLogs({ executionId: id, level: "ERROR" }, new AbortController().signal)[Symbol.asyncIterator]();
    while ((await lines.next()).done !== true);
    ends.push((await facade.getExecution({ id })).execution);
  }
  return ends;
}

export async function fireTrigger(context: CliContext, { id, trigger }: { id: string; trigger: string | null }): Promise<number> {
  const { facade, isLocal } = await connectDoer(context);
  const started = await facade.fireTrigger({ workflow: id, ...(trigger === null ? {} : { trigger }) });
  const [end] = isLocal ? await waitForEnds(facade, [started.executionId]) : [];
  const state = end?.state ?? started.state;
  if (context.common.json) context.printJson({ ...started, state });
  else context.print(`${started.executionId}\n`);
  context.note(end === undefined ? `Started; watch it with: ${context.program} execution watch ${started.executionId}` : `Ended with ${state}.`);
  return end === undefined || end.state === "SUCCESS" ? 0 : 1;
}

type BackfillValues = { id: string; trigger: string | null; from: string | null; to: string | null; dryRun: boolean };

export async function backfillTrigger(context: CliContext, values: BackfillValues): Promise<number> {
  const now = context.io.now();
  const from = parseMoment("--from", values.from, { now, ago: true });
  const to = parseMoment("--to", values.to, { now, ago: true }) ?? now;
  if (from === undefined)
    throw fail("USAGE", "Cannot backfill: --from is missing", { hint: "Name the first time, as in --from 2026-01-31T00:00:00Z." });
  const { facade, isLocal } = await connectDoer(context);
  const trigger = values.trigger ?? (await onlyTrigger(facade, values.id));
  const answer = await facade.backfillTrigger({ workflow: values.id, trigger, from, to, dryRun: values.dryRun });
  const isRun = isLocal && !values.dryRun;
  const ends = isRun
    ? await waitForEnds(
        facade,
        answer.started.map((run) => run.executionId ?? ""),
      )
    : [];
  const shown: Backfill = { ...answer, started: answer.started.map((run, index) => ({ ...run, state: ends[index]?.state ?? run.state })) };
  show(context, shown);
  return ends.every((end) => end.state === "SUCCESS") ? 0 : 1;
}

async function onlyTrigger(facade: Facade, workflow: string): Promise<string> {
  const { triggers } = await facade.getWorkflow(workflow);
  const crons = triggers.filter(({ type }) => type === "cron");
  if (crons.length === 1 && crons[0] !== undefined) return crons[0].id;
  throw fail("USAGE", `Cannot backfill "${workflow}": it has ${crons.length === 0 ? "no cron trigger" : "several cron triggers"}`, {
    hint:
      crons.length === 0 ? "Only times of cron triggers can be started later." : `Name one with --trigger: ${crons.map(({ id }) => id).join(", ")}`,
  });
}

function show(context: CliContext, { dryRun, started, skipped, ...rest }: Backfill): void {
  if (context.common.json) return context.printJson({ ...rest, dryRun, started, skipped });
  if (started.length > 0) {
    context.printTable(started, [
      { title: "SCHEDULED", value: (row) => row.scheduledAt },
      { title: "EXECUTION", value: (row) => row.executionId ?? "" },
      { title: "STATE", value: (row) => row.state ?? "" },
    ]);
  }
  const before = skipped.filter(({ reason }) => reason === "ALREADY_STARTED").length;
  const others = skipped.filter(({ reason }) => reason !== "ALREADY_STARTED").map(({ scheduledAt, reason }) => `${scheduledAt} (${reason})`);
  context.note(`${dryRun ? "Would start" : "Started"} ${started.length}; ${before} were started before.`);
  if (others.length > 0) context.note(`Not started: ${others.join(", ")}`);
}
