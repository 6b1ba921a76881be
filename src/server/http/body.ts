// The body of a request: its media type, its size while it is read, its text, its form.
import type { TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { fail, limits } from "../../base/index.ts";
import { findSchemaProblems, pathText } from "../../config/index.ts";
import type { Diagnostic } from "../../model/index.ts";
import type { BodyForm } from "../route.ts";
import { positionIn } from "./json-position.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const compiled = new WeakMap<TSchema, TypeCheck<TSchema>>();
/** So much beyond the limit is read and thrown away, so that an ordinary client gets to see the refusal; then the connection is cut. */
const discardBytesMax = 4 * limits.bodyBytesMax;

/** The body as its route takes it. @throws UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, BAD_REQUEST, BODY_INVALID */
export async function readBody(form: BodyForm, request: Request): Promise<unknown> {
  const isEmpty = request.body === null || request.headers.get("content-length") === "0";
  if (isEmpty && form.optional === true) return {};
  if (!isEmpty || request.headers.has("content-type")) checkMediaType(form, request.headers);
  const text = decode(isEmpty ? new Uint8Array() : await readBytes(request));
  if (form.read === "text") {
    // Kept as it came, but what says that it is JSON has to be.
    if (mediaTypeOf(request.headers) === "application/json") parse(text.replace(/^\uFEFF/, ""));
    return text;
  }
  const value = parse(text);
  if (checkOf(form.schema).Check(value)) return value;
  throw fail("BODY_INVALID", "Cannot take the body: it does not fit", { details: { diagnostics: diagnose(form.schema, value, text) } });
}

function checkMediaType(form: BodyForm, headers: Headers): void {
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.slice(8)
    .replaceAll('"', "");
  const details = { accepted: form.types };
  if (!form.types.includes(type))
    throw fail("UNSUPPORTED_MEDIA_TYPE", `Cannot take the body: "${type}" is not ${form.types.join(" or ")}`, { details });
  if (charset !== undefined && charset !== "utf-8" && charset !== "utf8" && charset !== "us-ascii")
    throw fail("UNSUPPORTED_MEDIA_TYPE", `Cannot take the body: its charset "${charset}" is not utf-8`, { details });
  requirePlain(headers, details);
}

function requirePlain(headers: Headers, details: Record<string, unknown>): void {
  const coding = headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity")
    throw fail("UNSUPPORTED_MEDIA_TYPE", `Cannot take the body: it is encoded with "${coding}"`, { details });
}

function mediaTypeOf(headers: Headers): string {
  return (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** The bytes of a body of whatever type. @throws TOO_LARGE, BAD_REQUEST when it breaks off, UNSUPPORTED_MEDIA_TYPE when it is packed */
export async function readRawBody(request: Request): Promise<Uint8Array> {
  requirePlain(request.headers, {});
  return request.body === null ? new Uint8Array() : readBytes(request);
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const max = limits.bodyBytesMax;
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > max + discardBytesMax) throw tooLarge();
  try {
    if (declared <= max) {
      const bytes = await request.bytes();
      if (bytes.length <= max) return bytes;
      throw tooLarge();
    }
    return await readChunks(request.body, max);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "TOO_LARGE") throw cause;
    throw fail("BAD_REQUEST", "Cannot read the body: it broke off", { cause });
  }
}

async function readChunks(body: ReadableStream<Uint8Array> | null, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  let total = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    total += value.length;
    if (total <= max) chunks.push(value);
    else chunks.length = 0;
    if (total <= max + discardBytesMax) continue;
    await reader.cancel();
    break;
  }
  if (total > max) throw tooLarge();
  return Buffer.concat(chunks, total);
}

function tooLarge(): Error {
  return fail("TOO_LARGE", `Cannot take the body: it is larger than ${limits.bodyBytesMax} bytes`, { details: { bytesMax: limits.bodyBytesMax } });
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw fail("BAD_REQUEST", "Cannot read the body: it is not UTF-8", { cause });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // The parser quotes what it met, and that may be a secret.
    const why = cause instanceof Error ? cause.message.replace(/(?: *["'(]|(?<=escape character) ).*$/s, "") : "unreadable";
    throw fail("BAD_REQUEST", `Cannot read the body: it is not JSON (${why})`);
  }
}

function checkOf(schema: TSchema): TypeCheck<TSchema> {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const check = TypeCompiler.Compile(schema);
  compiled.set(schema, check);
  return check;
}

function diagnose(schema: TSchema, value: unknown, text: string): Diagnostic[] {
  return findSchemaProblems(schema, value).map(({ code, at, message, hint }) => {
    const { line, column } = positionIn(text, at, code === "UNKNOWN_KEY");
    const found: Diagnostic = { severity: "error", code, path: pathText(at), message, file: "body", line, column };
    return hint === undefined ? found : Object.assign(found, { hint });
  });
}
