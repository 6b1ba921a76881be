// Idempotency keys of starts: whether a request is one that was answered before, and what a new one is known by later.
import { canonicalJson, fail, type JsonObject, sha256Hex, toIJson } from "../../base/index.ts";
import { type Caller, principalText } from "../../model/index.ts";
import type { RowChange } from "../../storage/index.ts";
import type { AppContext } from "../context.ts";
import type { StartRequest } from "../facade.ts";

const idempotencyMs = 24 * 3_600_000;

/** `whole` is of the request; whoever reads it may guess at inputs. `open` is of all but those. */
function digestsOf(request: StartRequest): { whole: string; open: string } {
  const { workflow, inputs, labels = {}, executionId = null, revision = null } = request;
  const open = { workflow, labels, executionId, revision };
  const digest = (value: JsonObject) => sha256Hex(canonicalJson(toIJson(value)));
  return { whole: digest({ ...open, inputs }), open: digest(open) };
}

function idempotencyScope(caller: Caller): string {
  return `start ${principalText(caller.principal)}`;
}

/** Id of the execution that this very request started before; null without a key, or with a new one. @throws IDEMPOTENCY_MISMATCH */
export async function findFirstStart(context: AppContext, caller: Caller, request: StartRequest): Promise<string | null> {
  const { idempotencyKey: key } = request;
  if (key === undefined) return null;
  const row = await context.store.findIdempotent(idempotencyScope(caller), key, context.clock.now());
  if (row === null) return null;
  const { executionId } = JSON.parse(row.result) as { executionId: string };
  if (await isSameRequest(context, request, { digest: row.body_sha256, executionId })) return executionId;
  throw fail("IDEMPOTENCY_MISMATCH", `Cannot use the idempotency key "${key}" again: it was used with another body`);
}

/** @throws SECRET_KEY_WRONG when the digest of the first one's inputs cannot be opened */
async function isSameRequest(context: AppContext, request: StartRequest, first: { digest: string; executionId: string }): Promise<boolean> {
  const { whole, open } = digestsOf(request);
  if (first.digest !== open) return first.digest === whole;
  const sealed = await context.vault.openSealed(first.executionId);
  return sealed.some(({ member, value }) => member === "request" && value === whole);
}

type Idempotent = { request: StartRequest; revision: number; executionId: string };

/**
 * What a repeat is known by. A digest of inputs that are masked elsewhere would let who reads the store try one value after the other, so
 * there it is sealed with the execution's inputs; a key of its own would not live through a rotation.
 */
export async function idempotencyOf(
  context: AppContext,
  caller: Caller,
  { request, revision, executionId }: Idempotent,
): Promise<{ sideChanges: RowChange[]; requestDigest?: string }> {
  if (request.idempotencyKey === undefined) return { sideChanges: [] };
  const { definition } = (await context.engine.plans.load(request.workflow, revision)).plan;
  const isMasked = definition.secrets.length > 0 || definition.inputs.some(({ sensitive }) => sensitive);
  const { whole, open } = digestsOf(request);
  const row = {
    scope: idempotencyScope(caller),
    key: request.idempotencyKey,
    body_sha256: isMasked ? open : whole,
    result: JSON.stringify({ executionId }),
    expires_at: context.clock.now() + idempotencyMs,
  };
  return { sideChanges: [{ table: "idempotency", op: "insert", row }], ...(isMasked ? { requestDigest: whole } : {}) };
}
