// list, describe, delete, enable, disable and history of stored workflows.
import type { Workflow } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice, parsePage } from "../option-values.ts";
import { renderPairs } from "../render/table.ts";
import { visible, visibleLine } from "../render/visible.ts";

type PageTexts = { limit: string | null; cursor: string | null };
type IdValue = { id: string };

export async function listWorkflows(context: CliContext, values: PageTexts & { enabled: string | null; label: string | null }): Promise<void> {
  const enabled = parseChoice("--enabled", values.enabled, ["true", "false"]);
  const query = {
    ...parsePage(values),
    ...(enabled === null ? {} : { enabled: enabled === "true" }),
    ...(values.label === null ? {} : { label: values.label }),
  };
  const { facade } = await context.connect();
  const page = await facade.listWorkflows(query);
  if (context.common.json) return context.printJson(page);
  if (page.workflows.length === 0) return context.note("No workflows. Store one with: workflow apply FILE");
  context.printTable(page.workflows, [
    { title: "ID", value: (row) => row.id },
    { title: "NAME", value: (row) => row.name ?? "" },
    { title: "ENABLED", value: (row) => (row.enabled ? "yes" : "no") },
    { title: "ARMED", value: (row) => (row.armed ? "yes" : "no") },
    { title: "REV", value: (row) => String(row.revision), align: "right" },
    { title: "UPDATED", value: (row) => row.updatedAt },
  ]);
  noteMore(context, page.nextCursor);
}

/** Says on stderr how to see the next page. */
export function noteMore(context: CliContext, nextCursor: string | null): void {
  if (nextCursor !== null) context.note(`More with: --cursor ${visibleLine(nextCursor)}`);
}

export async function describeWorkflow(context: CliContext, { id }: IdValue): Promise<void> {
  const { facade } = await context.connect();
  const workflow = await facade.getWorkflow(id);
  if (context.common.json) return context.printJson(workflow);
  context.print(renderPairs(describePairs(workflow), context.style));
  context.print(`\n${visible(workflow.source).trimEnd()}\n`);
}

function describePairs(workflow: Workflow): [string, string][] {
  const triggers = workflow.triggers.map((trigger) => `${trigger.id} (${trigger.type}${trigger.next === null ? "" : `, next ${trigger.next}`})`);
  const labels = Object.entries(workflow.labels).map(([key, value]) => `${key}=${value}`);
  const pairs: [string, string | null][] = [
    ["id", workflow.id],
    ["name", workflow.name],
    ["description", workflow.description],
    ["enabled", workflow.enabled ? "yes" : "no"],
    ["armed", workflow.armed ? "yes" : "no"],
    ["revision", String(workflow.revision)],
    ["sha256", workflow.sha256],
    ["folder", workflow.folder],
    ["labels", labels.join(", ")],
    ["triggers", triggers.join(", ")],
    ["created", workflow.createdAt],
    ["updated", workflow.updatedAt],
  ];
  return pairs.flatMap(([name, value]) => (value === null || value === "" ? [] : [[name, visibleLine(value)]]));
}

export async function deleteWorkflow(context: CliContext, { id }: IdValue): Promise<void> {
  const { facade } = await context.connect();
  await facade.deleteWorkflow(id);
  context.note(`Deleted ${visibleLine(id)}; its executions stay.`);
}

export async function enableWorkflow(context: CliContext, { id }: IdValue): Promise<void> {
  await setEnabled(context, id, true);
}

export async function disableWorkflow(context: CliContext, { id }: IdValue): Promise<void> {
  await setEnabled(context, id, false);
}

async function setEnabled(context: CliContext, id: string, enabled: boolean): Promise<void> {
  const { facade } = await context.connect();
  const workflow = await facade.setWorkflowEnabled(id, enabled);
  if (context.common.json) return context.printJson(workflow);
  context.note(`${visibleLine(workflow.id)} is ${workflow.enabled ? "enabled" : "disabled"}.`);
}

export async function listRevisions(context: CliContext, { id, ...page }: IdValue & PageTexts): Promise<void> {
  const query = parsePage(page);
  const { facade } = await context.connect();
  const answer = await facade.listRevisions(id, query);
  if (context.common.json) return context.printJson(answer);
  context.printTable(answer.revisions, [
    { title: "REV", value: (row) => String(row.revision), align: "right" },
    { title: "CURRENT", value: (row) => (row.current ? "yes" : "") },
    { title: "SHA256", value: (row) => row.sha256.slice(0, 12) },
    { title: "CREATED", value: (row) => row.createdAt },
    { title: "BY", value: (row) => row.by },
  ]);
  noteMore(context, answer.nextCursor);
}
