// Verbs on workflows: apply, list, show, switch, delete.
import { fail, isCoded, type JsonObject, sha256Hex, toIso } from "../../base/index.ts";
import {
  type Applied,
  type Caller,
  type Diagnostic,
  type EventDraft,
  hasErrors,
  principalText,
  type RevisionDetail,
  type RevisionList,
  type Validation,
  type Workflow,
  type WorkflowDefinition,
  type WorkflowItem,
  type WorkflowList,
} from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { readBlob } from "../../trace/index.ts";
import { type FindActionProblem, parseWorkflow } from "../../workflow/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { pageSize, parseLabel, readCursor, writeCursor } from "../cursor.ts";
import type { ApplyRequest, Page } from "../facade.ts";
import { waitingRemovals } from "../triggers/due-runs.ts";
import { exceededApprovals, missingApprovals, unapproved } from "./plugins.ts";
import { nextTime } from "./triggers.ts";

type Row = RowOf<"workflows">;

export async function listWorkflows(context: AppContext, query: Page & { enabled?: boolean; label?: string }): Promise<WorkflowList> {
  const size = pageSize(query.limit);
  const selection: Parameters<typeof context.store.listWorkflows>[0] = { limit: size + 1 };
  if (query.enabled !== undefined) selection.enabled = query.enabled;
  if (query.label !== undefined) selection.label = parseLabel(query.label);
  if (query.cursor !== undefined) selection.afterId = String(readCursor(query.cursor, ["string"])[0]);
  const rows = await context.store.listWorkflows(selection);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return { workflows: page.map(toItem), nextCursor: rows.length > size && last !== undefined ? writeCursor([last.id]) : null };
}

export async function getWorkflow(context: AppContext, id: string): Promise<Workflow> {
  const row = await requireWorkflow(context, id, "show");
  const { plan } = await context.engine.plans.load(id, row.revision);
  return { ...toHead(context, row, plan.definition), definition: plan.definition, source: await readSource(context, row.sha256) };
}

export async function listRevisions(context: AppContext, id: string, page: Page): Promise<RevisionList> {
  const row = await requireWorkflow(context, id, "show");
  const size = pageSize(page.limit);
  const before = page.cursor === undefined ? {} : { beforeRevision: Number(readCursor(page.cursor, ["number"])[0]) };
  const rows = await context.store.listRevisions({ workflow: id, limit: size + 1, ...before });
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    revisions: shown.map((found) => toRevision(found, row)),
    nextCursor: rows.length > size && last !== undefined ? writeCursor([last.revision]) : null,
  };
}

export async function getRevision(context: AppContext, id: string, revision: number): Promise<RevisionDetail> {
  const row = await requireWorkflow(context, id, "show");
  const { plan, row: found } = await context.engine.plans.load(id, revision);
  return { ...toRevision(found, row), folder: found.folder, definition: plan.definition, source: await readSource(context, found.sha256) };
}

export async function setWorkflowEnabled(context: AppContext, caller: Caller, change: { id: string; enabled: boolean }): Promise<Workflow> {
  const row = await requireWorkflow(context, change.id, change.enabled ? "enable" : "disable");
  if ((row.enabled === 1) !== change.enabled) {
    const type = change.enabled ? "trace.workflow.enabled" : "trace.workflow.disabled";
    context.session.ensure();
    await context.ledger.commit({
      events: [systemEvent(context, caller, { type, payload: { workflow: change.id } })],
      opens: systemOpens(context),
      sideChanges: await waitingRemovals(context.store, change.id),
    });
  }
  return getWorkflow(context, change.id);
}

export async function deleteWorkflow(context: AppContext, caller: Caller, id: string): Promise<void> {
  await requireWorkflow(context, id, "delete");
  context.session.ensure();
  await context.ledger.commit({
    events: [systemEvent(context, caller, { type: "trace.workflow.deleted", payload: { workflow: id } })],
    opens: systemOpens(context),
    sideChanges: await waitingRemovals(context.store, id),
  });
}

export async function validateWorkflow(context: AppContext, request: { source: string; file: string; hasFolder: boolean }): Promise<Validation> {
  const { source, ...place } = request;
  const options = { ...place, ...knownHere(context) };
  const first = parseWorkflow(source, options);
  const exceeded = first.definition === null ? new Map<string, string[]>() : await exceededApprovals(context, first.definition);
  const findProblem: FindActionProblem = (action) => options.findProblem(action) ?? unapproved(exceeded, action);
  const { diagnostics } = exceeded.size === 0 ? first : parseWorkflow(source, { ...options, findProblem });
  return { valid: !hasErrors(diagnostics), diagnostics };
}

/** What a check of a text needs to know of this server. */
function knownHere({ registry, loaded }: AppContext) {
  return {
    findAction: (name: string) => registry.describe(name),
    findProblem: (name: string) => registry.problemOf(name),
    hasImage: loaded.config.plugins.docker.image !== undefined,
    availability: true,
  };
}

/** Stores a revision and makes it current. Concurrent applies of one workflow are tried again on what the other left. */
export async function applyWorkflow(context: AppContext, caller: Caller, request: ApplyRequest): Promise<{ created: boolean; applied: Applied }> {
  const { definition, warnings } = checkSource(context, request, request.id);
  return retryRaces(() => applyOnce(context, caller, { request, definition, warnings }));
}

/** Parses for apply and run. @throws WORKFLOW_INVALID with all diagnostics, TOO_LARGE */
export function checkSource(
  context: AppContext,
  request: { source: string; file: string; folder: string | null },
  expectId: string | null,
): { definition: WorkflowDefinition; warnings: Diagnostic[] } {
  const options = { file: request.file, hasFolder: request.folder !== null, ...knownHere(context) };
  const { definition, diagnostics } = parseWorkflow(request.source, expectId === null ? options : { ...options, expectId });
  if (definition === null) {
    const count = diagnostics.filter((found) => found.severity === "error").length;
    throw fail("WORKFLOW_INVALID", `Cannot use workflow "${request.file}": ${count} error${count === 1 ? "" : "s"}`, { details: { diagnostics } });
  }
  return { definition, warnings: diagnostics };
}

type ApplyWork = { request: ApplyRequest; definition: WorkflowDefinition; warnings: Diagnostic[] };

async function applyOnce(context: AppContext, caller: Caller, work: ApplyWork): Promise<{ created: boolean; applied: Applied }> {
  const { request, definition, warnings } = work;
  const row = await context.store.findWorkflow(request.id);
  // A text that comes without a folder keeps the one it is stored with: same bytes make no revision.
  const folder = request.folder ?? (row?.sha256 === sha256Hex(request.source) ? row.folder : null);
  const stored = await storeRevision(context, { id: request.id, source: request.source, folder });
  const changed = row === null || row.sha256 !== stored.sha256 || row.folder !== folder;
  const wanted = request.enabled ?? (changed ? definition.enabled : row.enabled === 1);
  const isSame = row !== null && !changed && row.armed === 1 && (row.enabled === 1) === wanted;
  const now = context.clock.now();
  const approvals = request.dryRun === true ? [] : await missingApprovals(context, caller, definition);
  if (isSame) await commitApprovals(context, approvals);
  else if (request.dryRun !== true) {
    const payload = appliedPayload(definition, { ...stored, folder, enabled: wanted, current: true, armed: true, isNewWorkflow: row === null });
    await commitApplied(context, caller, { payload, stored, source: request.source, approvals });
  }
  const head = {
    id: request.id,
    name: definition.name,
    description: definition.description,
    labels: JSON.stringify(definition.labels),
    enabled: wanted ? 1 : 0,
    armed: 1,
    revision: isSame ? row.revision : stored.revision,
    sha256: stored.sha256,
    folder,
    created_at: row?.created_at ?? now,
    updated_at: isSame ? row.updated_at : now,
  };
  if (request.dryRun !== true) context.engine.plans.keep(stored.sha256, definition);
  const current = request.dryRun === true ? head : ((await context.store.findWorkflow(request.id)) ?? head);
  return { created: row === null, applied: { ...toHead(context, current, definition), changed, warnings } };
}

export type StoredRevision = { sha256: string; revision: number; isNew: boolean };

/** Finds the revision of a text, or the number it gets. From another folder the same text is another revision: relative paths in it mean others. */
export async function storeRevision(context: AppContext, text: { id: string; source: string; folder: string | null }): Promise<StoredRevision> {
  const sha256 = sha256Hex(text.source);
  const same = await context.store.findRevisionBySha({ workflow: text.id, sha256, folder: text.folder });
  if (same !== null) return { sha256, revision: same.revision, isNew: false };
  const [newest] = await context.store.listRevisions({ workflow: text.id, limit: 1 });
  return { sha256, revision: (newest?.revision ?? 0) + 1, isNew: true };
}

/** Tries again when another process stored a revision of the same workflow at the same moment. */
export async function retryRaces<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (cause) {
      if (attempt >= racesMax || !(isCoded(cause, "ALREADY_EXISTS") || isCoded(cause, "FOLD_FAILED"))) throw cause;
    }
  }
}

const racesMax = 50;

export function appliedPayload(
  definition: WorkflowDefinition,
  state: StoredRevision & { folder: string | null; enabled: boolean; current: boolean; armed: boolean; isNewWorkflow: boolean },
): JsonObject {
  return {
    workflow: definition.id,
    revision: state.revision,
    sha256: state.sha256,
    enabled: state.enabled,
    current: state.current,
    armed: state.armed,
    folder: state.folder,
    new_revision: state.isNew,
    new_workflow: state.isNewWorkflow,
    name: definition.name,
    description: definition.description,
    labels: definition.labels,
  };
}

/** Approvals that a text which is stored already still lacks. */
export async function commitApprovals(context: AppContext, approvals: readonly EventDraft[]): Promise<void> {
  if (approvals.length === 0) return;
  context.session.ensure();
  await context.ledger.commit({ events: approvals, opens: systemOpens(context) });
}

/** Writes `trace.workflow.applied` with the source as its artifact, and the approvals of the plugins it uses. */
export async function commitApplied(
  context: AppContext,
  caller: Caller,
  what: { payload: JsonObject; stored: StoredRevision; source: string; approvals: readonly EventDraft[] },
): Promise<void> {
  const { sha256 } = what.stored;
  const artifacts = [{ name: "source", uri: `artifact:${sha256}`, sha256, content_type: "application/yaml" }];
  context.session.ensure();
  await context.ledger.commit({
    events: [
      systemEvent(context, caller, { type: "trace.workflow.applied", payload: { ...what.payload, by: principalText(caller.principal) }, artifacts }),
      ...what.approvals,
    ],
    opens: systemOpens(context),
    blobs: [{ sha256, bytes: new TextEncoder().encode(what.source), contentType: "application/yaml" }],
  });
}

/** @throws WORKFLOW_NOT_FOUND */
export async function requireWorkflow(context: AppContext, id: string, verb: string): Promise<Row> {
  const row = await context.store.findWorkflow(id);
  if (row !== null) return row;
  throw fail("WORKFLOW_NOT_FOUND", `Cannot ${verb} workflow "${id}": no such workflow`, { hint: "`workflow list` shows those that are there." });
}

async function readSource(context: AppContext, sha256: string): Promise<string> {
  // The bytes as applied, a byte order mark included: their digest is the revision's.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await readBlob(context.store, sha256));
}

function toItem(row: Row): WorkflowItem {
  return {
    id: row.id,
    name: row.name,
    enabled: row.enabled === 1,
    armed: row.armed === 1,
    revision: row.revision,
    sha256: row.sha256,
    createdAt: toIso(row.created_at),
    updatedAt: toIso(row.updated_at),
  };
}

function toHead(context: AppContext, row: Row, definition: WorkflowDefinition) {
  return {
    ...toItem(row),
    description: row.description,
    labels: JSON.parse(row.labels) as Record<string, string>,
    folder: row.folder,
    triggers: definition.triggers.map((trigger) => ({ id: trigger.id, type: trigger.type, next: nextTime(context, row, trigger) })),
  };
}

function toRevision(found: RowOf<"revisions">, current: Row) {
  return {
    revision: found.revision,
    sha256: found.sha256,
    current: found.revision === current.revision,
    createdAt: toIso(found.created_at),
    by: found.by,
  };
}
