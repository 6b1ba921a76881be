// One start by a trigger, of whatever type: the current revision, the trigger's inputs, the execution, and the event that says so.
import { type CodedError, type ErrorCode, fail, isCoded, type JsonObject, toErrorBody, toIJson, toIso, toIsoOrNull } from "../../base/index.ts";
import type { TriggerData } from "../../engine/index.ts";
import { type Caller, principalText, type Started, type TriggerDefinition, type WorkflowDefinition } from "../../model/index.ts";
import { maskTexts } from "../../secrets/index.ts";
import type { RowChange } from "../../storage/index.ts";
import { createTemplate } from "../../workflow/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { type RevisionStart, submitRevision } from "../verbs/executions.ts";
import { requireTrigger } from "./require-trigger.ts";

export type TriggerStart = {
  /** Id of the workflow, which must be armed and enabled. */
  workflow: string;
  /** Id and type of the trigger; what it says is read from the current revision. */
  trigger: Pick<TriggerDefinition, "id" | "type">;
  /** When it was due, in milliseconds; null where nothing was due, as for a request. */
  scheduledAt: number | null;
  /** What came with it; expressions see it as members of `trigger`. */
  data: TriggerData | null;
  /** Who or what caused it, as `trigger.by`; the caller's principal where it is left out. */
  by?: string;
  /**
   * What it means that the start cannot be as the trigger wants it (inputs that do not fit, missing secrets or plugins): `throw`, or
   * `create` an execution that fails with it, so that it is seen; `throwInputs` throws what is the starter's fault, and creates otherwise.
   */
  onMisfit: "throw" | "create" | "throwInputs";
  /** Rows that stand or fall with the execution's first event: one whose key is taken makes the start fail. */
  sideChanges: (executionId: string) => readonly RowChange[];
};

/**
 * Starts an execution of the current revision; its first event is durable when this resolves, `trace.trigger.fired` shortly after.
 * @throws WORKFLOW_NOT_FOUND also for an unarmed one, WORKFLOW_DISABLED, TRIGGER_NOT_FOUND, QUEUE_FULL, NOT_READY, what the side changes
 * refuse (ALREADY_EXISTS, FOLD_FAILED); with `throw` also INPUT_INVALID, SECRETS_MISSING, NOT_AVAILABLE_YET, PLUGIN_NOT_FOUND, MANIFEST_INVALID
 */
export async function startByTrigger(context: AppContext, caller: Caller, start: TriggerStart): Promise<Started> {
  const { definition, trigger, row } = await requireTrigger(context, {
    workflow: start.workflow,
    trigger: start.trigger.id,
    type: start.trigger.type,
  });
  const by = start.by ?? principalText(caller.principal);
  const executionId = context.ids.next();
  const scheduled_at = start.scheduledAt === null ? null : toIso(start.scheduledAt);
  const wish = {
    workflow: start.workflow,
    revision: row.revision,
    inputs: {},
    labels: {},
    executionId,
    timeoutMs: null,
    trigger: { type: trigger.type, id: trigger.id, scheduled_at, by },
    triggerData: start.data,
    sideChanges: start.sideChanges(executionId),
  };
  let started: Started;
  let { inputs }: { inputs: JsonObject } = wish;
  try {
    inputs = evaluateInputs(definition, { ...start, trigger, by });
    started = await submitRevision(context, caller, { ...wish, inputs });
  } catch (cause) {
    const isThrown = start.onMisfit === "throw" || (start.onMisfit === "throwInputs" && isCoded(cause, "INPUT_INVALID"));
    if (isThrown || !isMisfit(cause)) throw cause;
    started = await submitRefused(context, caller, { wish: { ...wish, inputs }, cause, secrets: definition.secrets });
  }
  const payload = { workflow: start.workflow, trigger: trigger.id, scheduled_at, execution_id: executionId };
  await context.ledger.commit({ events: [systemEvent(context, caller, { type: "trace.trigger.fired", payload })], opens: systemOpens(context) });
  return started;
}

type Refused = { wish: RevisionStart; cause: CodedError; secrets: readonly string[] };

/** An execution that fails at once. Its inputs stay where they fit, so that it can be restarted when what was missing is there. */
async function submitRefused(context: AppContext, caller: Caller, { wish, cause, secrets }: Refused): Promise<Started> {
  // What came with the start may hold secrets, though they are not read for it.
  const masks = [...(await context.vault.readSecrets(secrets)).values()].flatMap(maskTexts);
  const refusal = toErrorBody(cause);
  // Thrown last: the inputs were checked by then.
  if (isCoded(cause, "SECRETS_MISSING")) return submitRevision(context, caller, { ...wish, refusal, masks });
  context.session.ensure();
  const inputs = isCoded(cause, "INPUT_INVALID") ? {} : wish.inputs;
  return context.engine.submit({ ...wish, inputs, refusal, masks, caller });
}

type Evaluated = { scheduledAt: number | null; data: TriggerData | null; by: string; trigger: TriggerDefinition };

/** The trigger's inputs with their expressions replaced. @throws INPUT_INVALID */
function evaluateInputs(definition: WorkflowDefinition, { trigger, scheduledAt, data, by }: Evaluated): JsonObject {
  const { body, headers, query } = data ?? { body: null, headers: {}, query: {} };
  const root = { type: trigger.type, id: trigger.id, scheduled_at: toIsoOrNull(scheduledAt), by, body, headers, query };
  try {
    const scope = { roots: { trigger: root, vars: definition.vars }, status: { success: true, failure: false } };
    const inputs = createTemplate(trigger.inputs).evaluate(scope);
    return toIJson(inputs) as JsonObject;
  } catch (cause) {
    throw fail("INPUT_INVALID", `Cannot start "${definition.id}" by its trigger "${trigger.id}": ${toErrorBody(cause).message}`, { cause });
  }
}

const misfits: readonly ErrorCode[] = ["INPUT_INVALID", "SECRETS_MISSING", "NOT_AVAILABLE_YET", "PLUGIN_NOT_FOUND", "MANIFEST_INVALID"];

/** What would be so at every try until a person changes something, unlike a full queue or a busy store. */
function isMisfit(cause: unknown): cause is CodedError {
  return isCoded(cause) && misfits.includes(cause.code);
}
