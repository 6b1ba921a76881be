// An execution from the store: its events folded again, with large values and what masking changed put back.
import { type ErrorBody, fail, isObject, type JsonObject, toErrorBody } from "../base/index.ts";
import type { RunGrants, TraceEvent } from "../model/index.ts";
import { maskTexts, type SealedValue, type Vault } from "../secrets/index.ts";
import type { Store } from "../storage/index.ts";
import { restorePayload, toDraft } from "../trace/index.ts";
import { sensitiveTexts } from "../workflow/index.ts";
import { fold } from "./fold.ts";
import { type ExecutionHeader, type Machine, nameOf, newMachine, type TriggerData, type TriggerPayload } from "./machine.ts";
import type { Plans } from "./plans.ts";
import { loadReuse, noReuse, type Restart, type Reuse } from "./reuse.ts";
import { findSealed, type SealedDraft } from "./sealing.ts";

const pageSize = 1000;

type Deps = { store: Store; plans: Plans; vault: Vault };
/** By the name of a run, null for the execution's own; or why they cannot be read. */
type Opened = { sealed: Map<string | null, SealedDraft[]>; problem: ErrorBody | null };
type Event = ReturnType<typeof toDraft>;

/** @throws EXECUTION_NOT_FOUND. True values that cannot be read are the machine's `sealProblem`. */
export async function restoreMachine(deps: Deps, executionId: string): Promise<Machine> {
  const { store } = deps;
  const opened = await openSealed(deps, executionId);
  let machine: Machine | null = null;
  let after = -1;
  for (;;) {
    const page = await store.listEvents({ traceId: executionId, afterSequence: after, limit: pageSize });
    for (const stored of page) {
      const draft = toDraft(JSON.parse(stored.body) as TraceEvent);
      const event = { ...draft, payload: await restorePayload(store, draft.payload) };
      machine ??= await openMachine(deps, event, opened);
      foldStored(machine, event, opened);
      after = stored.sequence;
    }
    if (page.length < pageSize) break;
  }
  if (machine === null) throw fail("EXECUTION_NOT_FOUND", `Cannot restore execution "${executionId}": no such execution`);
  return machine;
}

async function openSealed({ vault }: Deps, executionId: string): Promise<Opened> {
  try {
    const values = (await vault.openSealed(executionId)).map(toDraftOf);
    return { sealed: Map.groupBy(values, ({ task, itemIndex }) => (task === null ? null : nameOf(task, itemIndex))), problem: null };
  } catch (cause) {
    return { sealed: new Map(), problem: toErrorBody(cause) };
  }
}

function toDraftOf({ task, itemIndex, member, value }: SealedValue): SealedDraft {
  return { task, itemIndex, member: member as SealedDraft["member"], value };
}

function foldStored(machine: Machine, event: Event, { sealed }: Opened): void {
  const { payload } = event;
  const index = payload["item_index"];
  const name = typeof payload["task"] === "string" ? nameOf(payload["task"], typeof index === "number" ? index : null) : null;
  const own = sealed.get(name) ?? [];
  const isOutput = payload["sealed"] === true && event.type === "trace.task.succeeded";
  if (isOutput && !own.some(({ member }) => member === "output"))
    machine.sealProblem ??= lostValue(machine.header.executionId, `the output of task "${name}"`);
  fold(machine, event, own);
}

function lostValue(executionId: string, what: string): ErrorBody {
  const message = `Cannot go on with execution "${executionId}": ${what} was masked, and its true value is not in the store any more`;
  return toErrorBody(fail("SECRET_TAMPERED", message));
}

async function reuseOr(machine: Machine, load: () => Promise<Reuse>): Promise<Reuse> {
  try {
    return await load();
  } catch (cause) {
    machine.sealProblem ??= toErrorBody(cause);
    return noReuse;
  }
}

function parentOf(value: unknown): ExecutionHeader["parent"] {
  if (!isObject(value)) return null;
  return { executionId: String(value["execution_id"]), task: String(value["task"]), depth: Number(value["depth"] ?? 1) };
}

function restartOf(value: unknown): Restart | null {
  if (!isObject(value)) return null;
  return { executionId: String(value["execution_id"]), from: typeof value["task"] === "string" ? value["task"] : null };
}

async function openMachine({ store, plans, vault }: Deps, event: Event, { sealed, problem }: Opened): Promise<Machine> {
  const { payload } = event;
  const { plan, row } = await plans.load(String(payload["workflow"]), Number(payload["revision"]));
  const labels = isObject(payload["labels"]) ? (payload["labels"] as Record<string, string>) : {};
  const own = sealed.get(null) ?? [];
  const shownInputs = payload["inputs"] as JsonObject;
  const inputs = findSealed(own, "inputs", null);
  const triggerData = findSealed(own, "trigger", null)?.value ?? payload["trigger_data"] ?? null;
  const header: ExecutionHeader = {
    executionId: event.traceId,
    workflow: String(payload["workflow"]),
    revision: Number(payload["revision"]),
    sha256: String(payload["sha256"]),
    inputs: inputs === null ? shownInputs : (inputs.value as JsonObject),
    shownInputs,
    trigger: payload["trigger"] as unknown as TriggerPayload,
    triggerData: triggerData as TriggerData | null,
    labels,
    timeoutMs: typeof payload["timeout_ms"] === "number" ? payload["timeout_ms"] : plan.definition.timeoutMs,
    createdAt: event.time,
    sessionId: event.sessionId,
    actor: event.actor,
    rootSpanId: event.spanId,
    parentSpanId: event.parentSpanId,
    folder: row.folder,
    allow: isObject(payload["allow"]) ? (payload["allow"] as RunGrants) : null,
    parent: parentOf(payload["parent"]),
    restart: restartOf(payload["restarted_from"]),
  };
  const machine = newMachine(header, plan);
  if (header.restart !== null) machine.reuse = await reuseOr(machine, () => loadReuse({ store, vault }, plan, header.restart as Restart));
  machine.sealProblem = problem;
  if (payload["sealed"] === true && inputs === null && findSealed(own, "trigger", null) === null)
    machine.sealProblem ??= lostValue(event.traceId, "what it was started with");
  await restoreMasks(machine, vault, own);
  await machine.masks.masker.ready();
  return machine;
}

/** What was masked so far, with what the workflow's secrets are now: it may print either. */
async function restoreMasks(machine: Machine, vault: Vault, own: readonly SealedDraft[]): Promise<void> {
  const { masks, plan, header } = machine;
  const known = findSealed(own, "masks", null)?.value ?? [];
  masks.add(sensitiveTexts(plan.definition, header.inputs));
  masks.add(known as string[]);
  masks.noteSealed();
  if (plan.definition.secrets.length === 0 || machine.sealProblem !== null) return;
  try {
    masks.add([...(await vault.readSecrets(plan.definition.secrets)).values()].flatMap(maskTexts));
  } catch (cause) {
    machine.sealProblem = toErrorBody(cause);
  }
}
