// Payloads on their way in and out of the ledger: only I-JSON goes in, large values go into blobs and come back from them.
import { canonicalJson, fail, isObject, type Json, type JsonObject, limits, sha256Hex, toIJson } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type { Blob, Store } from "../storage/index.ts";

/** A draft that is I-JSON, and a bound of its payload's size. */
export type Storable = { draft: EventDraft; units: number };

/** Only I-JSON is hashed. Nearly all payloads are: those are looked at, not copied. @throws OUTPUT_INVALID */
export function toStorable(draft: EventDraft): Storable {
  const units = unitsOf(draft.payload, 0);
  if (units !== notIJson && draft.actor.id.isWellFormed()) return { draft, units };
  const payload = toIJson(draft.payload) as JsonObject;
  return { draft: { ...draft, actor: { ...draft.actor, id: draft.actor.id.toWellFormed() }, payload }, units: unitsOf(payload, 0) };
}

const notIJson = Number.POSITIVE_INFINITY;
/** What a number, a literal, or the signs around any value cost at most. */
const valueUnits = 8;

/** An upper bound of a value's canonical text, in units of six bytes, which is what JSON takes at most for one of UTF-16. */
function unitsOf(value: unknown, depth: number): number {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? valueUnits + value.length : notIJson;
    case "number":
      return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value)) ? valueUnits : notIJson;
    case "boolean":
      return valueUnits;
    case "object":
      return value === null ? valueUnits : depth > depthMax ? notIJson : unitsWithin(value, depth + 1);
    default:
      return notIJson;
  }
}

/** Deeper ones go through the full check, which has the true bound. */
const depthMax = 100;

function unitsWithin(value: object, depth: number): number {
  let units = valueUnits;
  if (Array.isArray(value)) for (const item of value) units += unitsOf(item, depth);
  else
    for (const key of Object.keys(value)) {
      const member = (value as Record<string, unknown>)[key];
      if (member !== undefined) units += key.isWellFormed() ? key.length + unitsOf(member, depth) : notIJson;
    }
  return units;
}

/** A text of so many units at most is small without being measured. */
const surelySmallMax = Math.floor(limits.payloadValueBytesMax / 6);

/** Moves large members of the payload into blobs; the payload then holds `{"$artifact": sha256}`. */
export function externalise({ draft, units }: Storable, blobs: Blob[]): EventDraft {
  let out: EventDraft | null = null;
  for (const name of Object.keys(draft.payload)) {
    const value = draft.payload[name];
    // A value that merely looks like a reference becomes one to itself, so that what is read back is what was written.
    const isReference = artifactOf(value) !== null;
    if (value === undefined || (!isReference && (units <= surelySmallMax || unitsOf(value, 1) <= surelySmallMax))) continue;
    const text = canonicalJson(value);
    if (!isReference && Buffer.byteLength(text) <= limits.payloadValueBytesMax) continue;
    const sha256 = sha256Hex(text);
    blobs.push({ sha256, bytes: new TextEncoder().encode(text), contentType: "application/json" });
    out ??= { ...draft, payload: { ...draft.payload }, artifacts: [...(draft.artifacts ?? [])] };
    out.payload[name] = { $artifact: sha256 };
    out.artifacts?.push({ name, uri: `artifact:${sha256}`, sha256, content_type: "application/json" });
  }
  return out ?? draft;
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

/** A stored JSON column; a value that was moved into a blob is fetched. */
export async function readColumn(store: Store, text: string | null): Promise<Json> {
  if (text === null) return null;
  const value = JSON.parse(text) as Json;
  const sha256 = artifactOf(value);
  return sha256 === null ? value : readJsonBlob(store, sha256);
}

/** @throws BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH */
async function readJsonBlob(store: Store, sha256: string): Promise<Json> {
  return JSON.parse(new TextDecoder().decode(await readBlob(store, sha256))) as Json;
}

/** @throws BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH */
export async function readBlob(store: Store, sha256: string): Promise<Uint8Array> {
  const blob = await store.findBlob(sha256);
  if (blob === null) throw fail("BLOB_NOT_FOUND", `Cannot read blob "${sha256}": it is not in the store`);
  if (sha256Hex(blob.bytes) !== sha256) throw fail("PAYLOAD_DIGEST_MISMATCH", `Cannot read blob "${sha256}": its bytes have another digest`);
  return blob.bytes;
}
