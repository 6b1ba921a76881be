// The body of a request: text, JSON, a form, a file or several parts, of which at most one is given; and TLS material from files.
import { openAsBlob, readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { isObject, type Json } from "../../base/index.ts";
import { inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath } from "../shared/paths.ts";
import { type HttpInput, pairsOf, type TlsInput } from "./input.ts";

/** A body that can be sent again, after a redirect or for a retry. `contentType` null: what the body itself says. */
export type RequestBody = { content: string | Blob | URLSearchParams | FormData; contentType: string | null };

const formType = "application/x-www-form-urlencoded";
const kinds = ["body", "json", "form", "file", "multipart"] as const;

/** @throws TASK_INPUT_INVALID, FILE_NOT_FOUND, TASK_FAILED */
export async function readRequestBody(input: HttpInput, method: string): Promise<RequestBody | null> {
  // No body is what an expression says with null.
  const given = kinds.filter((kind) => input[kind] !== undefined && (kind !== "body" || input.body !== null));
  if (given.length > 1) throw inputError(`Cannot send a request with ${given.join(" and ")}: it has one body`);
  if (given.length > 0 && (method === "GET" || method === "HEAD")) throw inputError(`Cannot send ${given[0]} with ${method}: it has no body`);
  if (input.body !== undefined && input.body !== null) return toBody(input.body, input.headers ?? {});
  if (input.json !== undefined) return { content: JSON.stringify(input.json), contentType: "application/json" };
  if (input.form !== undefined) return { content: new URLSearchParams(pairsOf(input.form)), contentType: formType };
  if (input.file !== undefined) return { content: await openFile(input.file), contentType: "application/octet-stream" };
  return input.multipart === undefined ? null : { content: await buildParts(input.multipart), contentType: null };
}

/** Text as it stands; an object as a form where the headers say so; anything else as JSON, whatever type they give it. */
function toBody(body: NonNullable<Json>, headers: NonNullable<HttpInput["headers"]>): RequestBody {
  if (typeof body === "string") return { content: body, contentType: "text/plain; charset=utf-8" };
  const isForm = pairsOf(headers).some(([name, value]) => name.toLowerCase() === "content-type" && value.startsWith(formType));
  if (!isForm || !isObject(body)) return { content: JSON.stringify(body), contentType: "application/json" };
  for (const [name, value] of Object.entries(body))
    if ([value].flat().some((one) => isObject(one))) throw inputError(`Cannot send body as a form: "${name}" is an object`);
  return { content: new URLSearchParams(pairsOf(body as NonNullable<HttpInput["form"]>)), contentType: formType };
}

function openFile(path: string, contentType?: string): Promise<Blob> {
  return withFileErrors(`send "${path}"`, () => {
    const resolved = resolvePath(path);
    if (!statSync(resolved).isFile()) throw inputError(`Cannot send "${path}": it is no file`);
    return openAsBlob(resolved, contentType === undefined ? {} : { type: contentType });
  });
}

async function buildParts(parts: NonNullable<HttpInput["multipart"]>): Promise<FormData> {
  const form = new FormData();
  for (const { name, value, file, filename, contentType } of parts) {
    if ((value === undefined) === (file === undefined)) throw inputError(`Cannot send the part "${name}": it has either a value or a file`);
    for (const text of [name, filename ?? "", contentType ?? ""])
      if (/[\r\n\0]/.test(text)) throw inputError("Cannot send a part: its name, filename or contentType holds a line break");
    if (file !== undefined) form.append(name, await openFile(file, contentType ?? "application/octet-stream"), filename ?? basename(file));
    else if (filename !== undefined || contentType !== undefined)
      form.append(name, new Blob([value ?? ""], { type: contentType ?? "text/plain" }), filename ?? name);
    else form.append(name, value ?? "");
  }
  return form;
}

/** What a connection needs to trust and to prove, read from files where paths are given. */
export async function readTls(tls: TlsInput | undefined): Promise<BunFetchRequestInitTLS | null> {
  if (tls === undefined) return null;
  const { ca, cert, key, insecure = false } = tls;
  if ((cert === undefined) !== (key === undefined)) throw inputError("Cannot use tls: cert and key go together");
  const made: BunFetchRequestInitTLS = { rejectUnauthorized: !insecure };
  if (ca !== undefined) made.ca = await readPem(ca);
  if (cert !== undefined) made.cert = await readPem(cert);
  if (key !== undefined) made.key = await readPem(key);
  return made;
}

function readPem(value: string): Promise<string> | string {
  return value.includes("-----BEGIN") ? value : withFileErrors(`read "${value}"`, () => readFileSync(resolvePath(value), "utf8"));
}
