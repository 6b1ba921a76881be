// Payloads on their way in and out of the ledger: only I-JSON goes in, large values go into blobs and come back from them.
import { canonicalJson, fail, isObject, type Json, type JsonObject, limits, sha256Hex, toIJson } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type { Blob, Store } from "../storage/index.ts";

/** Only I-JSON is hashed. Nearly all payloads are: those are looked at, not copied. @throws OUTPUT_INVALID */
export function toStorable(draft: EventDraft): EventDraft {
  if (isIJson(draft.payload) && draft.actor.id.isWellFormed()) return draft;
  return { ...draft, actor: { ...draft.actor, id: draft.actor.id.toWellFormed() }, payload: toIJson(draft.payload) as JsonObject };
}

function isIJson(value: unknown, depth = 0): boolean {
  switch (typeof value) {
    case "string":
      return value.isWellFormed();
    case "number":
      return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));
    case "boolean":
      return true;
    case "object":
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (depth > 100) return false;
  if (Array.isArray(value)) return value.every((item) => isIJson(item, depth + 1));
  for (const [key, member] of Object.entries(value)) if (!key.isWellFormed() || (member !== undefined && !isIJson(member, depth + 1))) return false;
  return true;
}

/** Moves large members of the payload into blobs; the payload then holds `{"$artifact": sha256}`. */
export function externalise(draft: EventDraft, blobs: Blob[]): EventDraft {
  let out: EventDraft | null = null;
  for (const [name, value] of Object.entries(draft.payload)) {
    // A value that merely looks like a reference becomes one to itself, so that what is read back is what was written.
    const text = mayBeLarge(value) || artifactOf(value) !== null ? canonicalJson(value) : "";
    if (artifactOf(value) === null && Buffer.byteLength(text) <= limits.payloadValueBytesMax) continue;
    const sha256 = sha256Hex(text);
    blobs.push({ sha256, bytes: new TextEncoder().encode(text), contentType: "application/json" });
    out ??= { ...draft, payload: { ...draft.payload }, artifacts: [...(draft.artifacts ?? [])] };
    out.payload[name] = { $artifact: sha256 };
    out.artifacts?.push({ name, uri: `artifact:${sha256}`, sha256, content_type: "application/json" });
  }
  return out ?? draft;
}

/** UTF-16 units of a text that cannot take more bytes than a value may have: JSON takes at most six for one. */
const surelySmallMax = Math.floor(limits.payloadValueBytesMax / 6);

/** A cheap look before the exact measure: most payload members are a few bytes. */
function mayBeLarge(value: Json | undefined, budget = { left: surelySmallMax }): boolean {
  if (typeof value === "string") budget.left -= value.length;
  else if (Array.isArray(value)) for (const item of value) if (mayBeLarge(item, budget)) return true;
  budget.left -= 8;
  if (isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      budget.left -= key.length;
      if (mayBeLarge(member as Json, budget)) return true;
    }
  }
  return budget.left < 0;
}

/** Puts the values of `{"$artifact": sha256}` members back. @throws BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH */
export async function restorePayload(store: Store, payload: JsonObject): Promise<JsonObject> {
  let out: JsonObject | null = null;
  for (const [name, value] of Object.entries(payload)) {
    const sha256 = artifactOf(value);
    if (sha256 === null) continue;
    out ??= { ...payload };
    out[name] = await readJsonBlob(store, sha256);
  }
  return out ?? payload;
}

/** The digest of a value that was moved into a blob, else null. */
export function artifactOf(value: unknown): string | null {
  return isObject(value) && typeof value["$artifact"] === "string" && Object.keys(value).length === 1 ? value["$artifact"] : null;
}

/** @throws BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH */
export async function readJsonBlob(store: Store, sha256: string): Promise<Json> {
  return JSON.parse(new TextDecoder().decode(await readBlob(store, sha256))) as Json;
}

/** @throws BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH */
export async function readBlob(store: Store, sha256: string): Promise<Uint8Array> {
  const blob = await store.findBlob(sha256);
  if (blob === null) throw fail("BLOB_NOT_FOUND", `Cannot read blob "${sha256}": it is not in the store`);
  if (sha256Hex(blob.bytes) !== sha256) throw fail("PAYLOAD_DIGEST_MISMATCH", `Cannot read blob "${sha256}": its bytes have another digest`);
  return blob.bytes;
}
