// The body of a response: bounded while it arrives, in memory while it is small, else in a file; then JSON, text or an artifact.
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../../base/index.ts";
import { failure } from "../shared/failure.ts";
import { artifactForm, newArtifact } from "../shared/left-file.ts";
import { parseLosslessJson } from "../shared/lossless-json.ts";

/** Larger bodies become artifacts: a task's whole output has at most 1 MiB of JSON text, in which one byte may take six. */
const inlineBytesMax = 160 * 1024;

type Received = { size: number; sha256: string; memory: Uint8Array | null; path: string | null };
export type BodyRules = { workdir: string; maxBytes: number; saveAs: string | undefined; url: URL };

const jsonType = /^application\/(?:[\w.!#$&^+-]+\+)?json$/;
const textType =
  /^(?:text\/.+|application\/(?:(?:[\w.!#$&^+-]+\+)?(?:xml|yaml)|x-yaml|javascript|ecmascript|x-www-form-urlencoded|x-ndjson|graphql|sql|toml))$/;

/** The body as it stands in the output. @throws TOO_LARGE; what the connection throws is passed on */
export async function readResponseBody(response: Response, rules: BodyRules): Promise<Json> {
  const { type, charset } = contentTypeOf(response);
  const received = await receive(response, rules);
  try {
    if (received.size === 0 && rules.saveAs === undefined) return textType.test(type ?? "") ? "" : null;
    const inline = rules.saveAs === undefined && received.memory !== null ? interpret(received.memory, type, charset) : undefined;
    return inline === undefined ? keep(received, response, rules) : inline;
  } finally {
    if (received.path !== null) rmSync(received.path, { force: true });
  }
}

/** The first part of a body as text, for an error; never fails. */
export async function readExcerpt(response: Response, unitsMax: number): Promise<string> {
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size >= unitsMax * 4) break;
    }
    return Buffer.concat(chunks).toString("utf8").slice(0, unitsMax);
  } catch {
    return "";
  }
}

function contentTypeOf(response: Response): { type: string | null; charset: string } {
  const header = response.headers.get("content-type");
  if (header === null) return { type: null, charset: "utf-8" };
  const type = (header.split(";")[0] ?? "").trim().toLowerCase();
  return { type, charset: /charset="?([\w.:-]+)/i.exec(header)?.[1] ?? "utf-8" };
}

async function receive(response: Response, { workdir, maxBytes, saveAs }: BodyRules): Promise<Received> {
  const tooLarge = (): Error =>
    failure("TOO_LARGE", `Cannot take the response: its body has more than ${maxBytes} bytes`, {
      details: { maxBytes, status: response.status },
      hint: "Raise maxBytes.",
      retryable: false,
    });
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes && !response.headers.has("content-encoding")) throw tooLarge();
  const hasher = new Bun.CryptoHasher("sha256");
  const path = join(workdir, `.response-${process.pid}`);
  let chunks: Uint8Array[] = [];
  let size = 0;
  let file: number | null = null;
  let isWhole = false;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge();
      hasher.update(chunk);
      chunks.push(chunk);
      if (size <= inlineBytesMax && saveAs === undefined) continue;
      file ??= openSync(path, "wx", 0o600);
      for (const waiting of chunks) writeAll(file, waiting);
      chunks = [];
    }
    if (file === null && saveAs !== undefined) file = openSync(path, "wx", 0o600);
    isWhole = true;
  } finally {
    if (file !== null) closeSync(file);
    if (file !== null && !isWhole) rmSync(path, { force: true });
  }
  return { size, sha256: hasher.digest("hex"), memory: file === null ? Buffer.concat(chunks) : null, path: file === null ? null : path };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at);
}

/** JSON, or text; undefined for what is neither. JSON that is none is text: the server has acted already, so failing would help nobody. */
function interpret(bytes: Uint8Array, type: string | null, charset: string): Json | undefined {
  const isJson = type !== null && jsonType.test(type);
  if (!isJson && type !== null && !textType.test(type)) return undefined;
  const text = decode(bytes, isJson ? "utf-8" : charset, type === null);
  if (text === undefined || !isJson) return text;
  try {
    return parseLosslessJson(text);
  } catch {
    return text;
  }
}

/** `isGuess`: nobody said that this is text, so it is only where it is flawless. */
function decode(bytes: Uint8Array, charset: string, isGuess: boolean): string | undefined {
  if (isGuess && bytes.includes(0)) return undefined;
  try {
    return new TextDecoder(charset as Bun.Encoding, { fatal: isGuess }).decode(bytes);
  } catch {
    return isGuess ? undefined : new TextDecoder().decode(bytes);
  }
}

function keep(received: Received, response: Response, { workdir, saveAs, url }: BodyRules): Json {
  const header = response.headers.get("content-type");
  const offered = /filename="?([^";]+)/i.exec(response.headers.get("content-disposition") ?? "")?.[1];
  const { name, path } = newArtifact(workdir, saveAs ?? offered ?? url.pathname, "body");
  if (received.path !== null) renameSync(received.path, path);
  else {
    const file = openSync(path, "wx", 0o600);
    writeAll(file, received.memory ?? new Uint8Array());
    closeSync(file);
  }
  return artifactForm({ name, sha256: received.sha256, size: received.size, contentType: header });
}
