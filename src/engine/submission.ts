// How an execution begins: what is asked for, its header, and its first event with what of it is kept sealed.
import { type Clock, type ErrorBody, type Ids, type Json, type JsonObject, toIJson } from "../base/index.ts";
import { actorOf, type Caller, type EventDraft, type RunGrants, type WorkflowDefinition } from "../model/index.ts";
import type { RowChange, RowOf } from "../storage/index.ts";
import { draftEvent } from "../trace/index.ts";
import type { ExecutionHeader, Machine, TriggerData, TriggerPayload } from "./machine.ts";
import { type Masks, shownInputs } from "./masks.ts";
import type { Restart } from "./reuse.ts";
import type { SealedDraft } from "./sealing.ts";

export type SubmitRequest = {
  workflow: string;
  revision: number;
  inputs: JsonObject;
  trigger: TriggerPayload;
  triggerData?: TriggerData | null;
  /** Why it cannot run: it is created all the same, so that it is seen, and fails with this before anything of it begins. */
  refusal?: ErrorBody;
  labels: Record<string, string>;
  executionId: string;
  timeoutMs: number | null;
  /** The run that starts it, and texts that it masks because its parent does. */
  parent?: ExecutionHeader["parent"];
  masks?: readonly string[];
  /** Reuses what that execution of the same revision came to. */
  restart?: Restart | null;
  /** Granted for this run beside the workflow's block (`run --allow-*`). */
  allow?: RunGrants | null;
  caller: Caller;
  sideChanges: readonly RowChange[];
  /** Kept sealed: a digest of what was asked for, where inputs could be guessed from it. */
  requestDigest?: string;
};

type Deps = { clock: Clock; ids: Ids };

export function headerOf(
  { clock, ids }: Deps,
  request: SubmitRequest,
  at: { row: RowOf<"revisions">; definition: WorkflowDefinition; masks: Masks },
): ExecutionHeader {
  const { row, definition, masks } = at;
  const inputs = toIJson(request.inputs) as JsonObject;
  return {
    executionId: request.executionId,
    workflow: request.workflow,
    revision: request.revision,
    sha256: row.sha256,
    inputs,
    shownInputs: shownInputs(definition, inputs, masks),
    trigger: request.trigger,
    triggerData: request.triggerData ?? null,
    labels: request.labels,
    timeoutMs: request.timeoutMs ?? definition.timeoutMs,
    createdAt: clock.now(),
    sessionId: request.caller.sessionId,
    actor: actorOf(request.caller.principal),
    rootSpanId: ids.next(),
    parentSpanId: null,
    folder: row.folder,
    allow: request.allow ?? null,
    parent: request.parent ?? null,
    restart: request.restart ?? null,
  };
}

export function createdEvent(deps: Deps, { header, masks }: Machine, request: SubmitRequest): { created: EventDraft; sealed: SealedDraft[] } {
  const payload: JsonObject = {
    execution_id: header.executionId,
    workflow: header.workflow,
    revision: header.revision,
    sha256: header.sha256,
    trigger: header.trigger,
    inputs: header.shownInputs,
  };
  const sealed: SealedDraft[] = [];
  const keep = (member: SealedDraft["member"], value: Json) => void sealed.push({ task: null, itemIndex: null, member, value });
  if (header.shownInputs !== header.inputs) keep("inputs", header.inputs);
  if (header.triggerData !== null) {
    const shown = masks.json(header.triggerData);
    if (shown !== header.triggerData) keep("trigger", header.triggerData);
    payload["trigger_data"] = shown;
  }
  if (sealed.length > 0) payload["sealed"] = true;
  if (request.requestDigest !== undefined) keep("request", request.requestDigest);
  if (Object.keys(header.labels).length > 0) payload["labels"] = header.labels;
  if (request.timeoutMs !== null) payload["timeout_ms"] = request.timeoutMs;
  if (header.allow !== null) payload["allow"] = header.allow;
  if (header.parent !== null) payload["parent"] = { execution_id: header.parent.executionId, task: header.parent.task, depth: header.parent.depth };
  if (header.restart !== null) payload["restarted_from"] = { execution_id: header.restart.executionId, task: header.restart.from };
  const place = { traceId: header.executionId, spanId: header.rootSpanId, parentSpanId: null, sessionId: header.sessionId, actor: header.actor };
  return { created: draftEvent(deps, place, { type: "trace.execution.created", payload, time: header.createdAt }), sealed };
}
