// The verb behind webhooks: what a sender delivers starts an execution once. A sender has no key, only what the trigger's secret proves.
import { type CodedError, type ErrorBody, fail, fromErrorBody, isCoded, type JsonObject, limits, sha256Hex, toErrorBody } from "../../base/index.ts";
import type { Caller, WebhookTrigger, WorkflowDefinition } from "../../model/index.ts";
import { Masker, maskTexts } from "../../secrets/index.ts";
import type { RowChange } from "../../storage/index.ts";
import type { AppContext } from "../context.ts";
import { startByTrigger } from "../triggers/start.ts";
import { deliveryIdOf, type HookHead, isProven, triggerDataOf } from "../triggers/webhook.ts";

export type HookRequest = HookHead & {
  workflow: string;
  /** As the trigger has it. */
  path: string;
  /** Reads the body, and refuses one that is too large. */
  body: () => Promise<Uint8Array>;
};

type Delivery = { workflow: string; trigger: string; deliveryId: string; bodyDigest: string; isKey: boolean };

/**
 * Starts what a delivery starts; a repeat of one gets the first one's execution.
 * @throws NOT_FOUND for all that is no hook now, METHOD_NOT_ALLOWED, UNAUTHORIZED, BAD_REQUEST, INPUT_INVALID, IDEMPOTENCY_MISMATCH,
 * QUEUE_FULL, NOT_READY
 */
export async function deliverHook(context: AppContext, caller: Caller, request: HookRequest): Promise<{ executionId: string }> {
  const { definition, trigger } = await findHook(context, request);
  const body = await request.body();
  await requireProof(context, { request, body, trigger });
  try {
    return await accept(context, caller, { request, body, trigger });
  } catch (cause) {
    throw isCoded(cause) ? await masked(context, definition, cause) : cause;
  }
}

async function findHook(
  context: AppContext,
  { workflow, path, method }: HookRequest,
): Promise<{ definition: WorkflowDefinition; trigger: WebhookTrigger }> {
  const row = await context.store.findWorkflow(workflow);
  const absent = () => fail("NOT_FOUND", `Cannot deliver to "/hooks/${workflow}/${path}": no such hook`);
  if (row === null || row.armed === 0 || row.enabled === 0) throw absent();
  const { plan } = await context.engine.plans.load(workflow, row.revision);
  const here = plan.definition.triggers.filter((one): one is WebhookTrigger => one.type === "webhook" && one.path === path);
  if (here.length === 0) throw absent();
  const trigger = here.find((one) => one.method === method);
  if (trigger !== undefined) return { definition: plan.definition, trigger };
  const allow = here.map((one) => one.method).toSorted();
  throw fail("METHOD_NOT_ALLOWED", `Cannot ${method} "/hooks/${workflow}/${path}": it takes ${allow.join(", ")}`, { details: { allow } });
}

type Proof = { request: HookRequest; body: Uint8Array; trigger: WebhookTrigger };

async function requireProof(context: AppContext, { request, body, trigger }: Proof): Promise<void> {
  const secrets = await readSecrets(context, [trigger.secret]);
  if (isProven(request, body, secrets.get(trigger.secret))) return;
  throw fail("UNAUTHORIZED", `Cannot deliver to "/hooks/${request.workflow}/${request.path}": the request does not prove that it knows the secret`, {
    hint: "Send X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body>, or Authorization: Bearer <secret>.",
  });
}

/** What is wrong with the store's key is for the server's log, not for who sends from outside. */
async function readSecrets(context: AppContext, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  try {
    return await context.vault.readSecrets(names);
  } catch (cause) {
    if (isCoded(cause, "STORE_UNAVAILABLE")) throw cause;
    throw fail("INTERNAL", `Cannot read the secrets of a hook: ${toErrorBody(cause).message}`, { cause });
  }
}

/** Refusals quote what they refuse, and that may hold secrets of the workflow. */
async function masked(context: AppContext, { secrets }: WorkflowDefinition, cause: CodedError): Promise<CodedError> {
  const masker = new Masker();
  masker.add([...(await readSecrets(context, secrets)).values()].flatMap(maskTexts));
  await masker.ready();
  const { message, details, hint, ...rest } = toErrorBody(cause);
  const shown: ErrorBody = { ...rest, message: masker.text(message) };
  if (details !== undefined) shown.details = masker.json(details as JsonObject) as JsonObject;
  if (hint !== undefined) shown.hint = masker.text(hint);
  return fromErrorBody(shown);
}

async function accept(context: AppContext, caller: Caller, { request, body, trigger }: Proof): Promise<{ executionId: string }> {
  const id = deliveryIdOf(request);
  const at = { workflow: request.workflow, trigger: trigger.id };
  const delivery = id === null ? null : { ...at, deliveryId: id.id, isKey: id.isKey, bodyDigest: sha256Hex(body) };
  const before = await findFirst(context, delivery);
  if (before !== null) return before;
  const data = triggerDataOf(request, body);
  if (delivery !== null) await context.store.sweepDeliveries(context.clock.now());
  try {
    const start = { workflow: request.workflow, trigger, scheduledAt: null, data, onMisfit: "throwInputs" } as const;
    const { executionId } = await startByTrigger(context, caller, { ...start, sideChanges: (started) => rowsOf(context, delivery, started) });
    return { executionId };
  } catch (cause) {
    // The same delivery may have come twice at the same moment: the other one's execution then stands for both.
    const raced = isCoded(cause, "ALREADY_EXISTS") ? await findFirst(context, delivery) : null;
    if (raced !== null) return raced;
    throw cause;
  }
}

async function findFirst(context: AppContext, delivery: Delivery | null): Promise<{ executionId: string } | null> {
  if (delivery === null) return null;
  const row = await context.store.findDelivery({ ...delivery, now: context.clock.now() });
  if (row === null) return null;
  // An Idempotency-Key means what it means everywhere; the ids of deliveries are their senders' own.
  if (delivery.isKey && row.body_sha256 !== delivery.bodyDigest)
    throw fail("IDEMPOTENCY_MISMATCH", `Cannot use the idempotency key "${delivery.deliveryId}" again: it was used with another body`);
  return { executionId: row.execution_id };
}

function rowsOf(context: AppContext, delivery: Delivery | null, executionId: string): RowChange[] {
  if (delivery === null) return [];
  const { workflow, trigger, deliveryId, bodyDigest } = delivery;
  const expires_at = context.clock.now() + limits.deliveryMsMax;
  const row = { workflow, trigger, delivery_id: deliveryId, body_sha256: bodyDigest, execution_id: executionId, expires_at };
  return [{ table: "deliveries", op: "insert", row }];
}
