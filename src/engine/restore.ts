// An execution from the store: its events folded again, with large values put back.
import { fail, isObject, type JsonObject } from "../base/index.ts";
import type { RunGrants, TraceEvent } from "../model/index.ts";
import type { Store } from "../storage/index.ts";
import { restorePayload, toDraft } from "../trace/index.ts";
import { fold } from "./fold.ts";
import { type ExecutionHeader, type Machine, newMachine, type TriggerPayload } from "./machine.ts";
import type { Plans } from "./plans.ts";

const pageSize = 1000;

/** @throws EXECUTION_NOT_FOUND */
export async function restoreMachine(store: Store, plans: Plans, executionId: string): Promise<Machine> {
  let machine: Machine | null = null;
  let after = -1;
  for (;;) {
    const page = await store.listEvents({ traceId: executionId, afterSequence: after, limit: pageSize });
    for (const stored of page) {
      const draft = toDraft(JSON.parse(stored.body) as TraceEvent);
      const event = { ...draft, payload: await restorePayload(store, draft.payload) };
      machine ??= await openMachine(plans, event);
      fold(machine, event);
      after = stored.sequence;
    }
    if (page.length < pageSize) break;
  }
  if (machine === null) throw fail("EXECUTION_NOT_FOUND", `Cannot restore execution "${executionId}": no such execution`);
  return machine;
}

async function openMachine(plans: Plans, event: ReturnType<typeof toDraft>): Promise<Machine> {
  const { payload } = event;
  const { plan, row } = await plans.load(String(payload["workflow"]), Number(payload["revision"]));
  const labels = isObject(payload["labels"]) ? (payload["labels"] as Record<string, string>) : {};
  const header: ExecutionHeader = {
    executionId: event.traceId,
    workflow: String(payload["workflow"]),
    revision: Number(payload["revision"]),
    sha256: String(payload["sha256"]),
    inputs: payload["inputs"] as JsonObject,
    trigger: payload["trigger"] as unknown as TriggerPayload,
    labels,
    timeoutMs: typeof payload["timeout_ms"] === "number" ? payload["timeout_ms"] : plan.definition.timeoutMs,
    createdAt: event.time,
    sessionId: event.sessionId,
    actor: event.actor,
    rootSpanId: event.spanId,
    parentSpanId: event.parentSpanId,
    folder: row.folder,
    allow: isObject(payload["allow"]) ? (payload["allow"] as RunGrants) : null,
  };
  return newMachine(header, plan);
}
