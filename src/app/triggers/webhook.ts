// What a webhook's request says: whether it is proven, the id of its delivery, and what of it expressions get to see. Pure.
import { createHmac, timingSafeEqual } from "node:crypto";
import { fail, type Json, toErrorBody, toIJson } from "../../base/index.ts";
import type { TriggerData } from "../../engine/index.ts";

/** A request to a hook, but for its body. */
export type HookHead = { method: string; headers: Headers; query: URLSearchParams };

const signatureForm = /^sha256=([0-9a-f]{64})$/i;
const bearerForm = /^Bearer +(.+)$/i;
/** Proofs are compared by their digests under a key of this process: equally long, and unknown to who sends them. */
const compareKey = crypto.getRandomValues(new Uint8Array(32));

/**
 * Whether the request knows the secret: by a signature of the body's bytes, or by the secret itself. Where there is a signature it
 * decides. A secret that does not exist costs the same work as one that does.
 */
export function isProven({ headers }: HookHead, body: Uint8Array, secret: Uint8Array | undefined): boolean {
  const key = secret ?? compareKey;
  const signature = headers.get("x-hub-signature-256");
  const given = signature === null ? bearerForm.exec(headers.get("authorization") ?? "")?.[1] : signatureForm.exec(signature)?.[1]?.toLowerCase();
  const expected = signature === null ? key : Buffer.from(createHmac("sha256", key).update(body).digest("hex"));
  const isSame = timingSafeEqual(digest(expected), digest(Buffer.from(given ?? "")));
  return isSame && given !== undefined && secret !== undefined;
}

function digest(bytes: Uint8Array): Buffer {
  return createHmac("sha256", compareKey).update(bytes).digest();
}

/** In this order. */
const idHeaders = ["x-github-delivery", "webhook-id", "idempotency-key"] as const;
const idForm = /^[\x21-\x7e]{1,255}$/;

/** The sender's own id of a delivery; `isKey` where it came as an Idempotency-Key. Null where there is none. @throws BAD_REQUEST */
export function deliveryIdOf({ headers }: HookHead): { id: string; isKey: boolean } | null {
  const name = idHeaders.find((header) => (headers.get(header) ?? "") !== "");
  if (name === undefined) return null;
  const id = headers.get(name) ?? "";
  if (!idForm.test(id)) throw fail("BAD_REQUEST", `Cannot read the header ${name}: it must be 1 to 255 visible ASCII characters`);
  return { id, isKey: name === "idempotency-key" };
}

/** Names of headers that carry proofs, or may: expressions, traces and logs never see them. */
const secretHeader = /authori[sz]ation|cookie|signature|token|secret|passw|credential|api-?key|x-auth|^auth/;

/** What expressions see of the request. @throws BAD_REQUEST for a body that is not what its type says, INPUT_INVALID for one that is not I-JSON */
export function triggerDataOf({ headers, query }: HookHead, body: Uint8Array): TriggerData {
  return {
    body: bodyOf(headers, body),
    headers: Object.fromEntries([...headers].filter(([name]) => !secretHeader.test(name))),
    query: Object.fromEntries(query),
  };
}

function bodyOf(headers: Headers, bytes: Uint8Array): Json {
  if (bytes.length === 0) return null;
  const type = (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const text = decode(bytes);
  const isForm = type === "application/x-www-form-urlencoded";
  // `curl -d` and `fetch` call everything a form or plain text; neither begins with a brace by itself.
  const isObject = (isForm || type === "text/plain") && text.trimStart().startsWith("{");
  if (type === "" || type === "application/json" || type.endsWith("+json") || isObject) return parseJson(text);
  return isForm ? Object.fromEntries(new URLSearchParams(text)) : text;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw fail("BAD_REQUEST", "Cannot read the body: it is not UTF-8", { cause });
  }
}

function parseJson(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser quotes what it met, and that may be a secret.
    throw fail("BAD_REQUEST", "Cannot read the body: it is not JSON");
  }
  try {
    return toIJson(value);
  } catch (cause) {
    throw fail("INPUT_INVALID", `Cannot take the body: ${toErrorBody(cause).message}`, { cause });
  }
}
