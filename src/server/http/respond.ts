// Answers and errors as HTTP: headers that every response has, gzip, the error envelope.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type ErrorBody, isCoded, statusOf, toErrorBody } from "../../base/index.ts";
import type { Answer } from "./answer.ts";

/** Below it a packet carries the text anyway, and compressing costs more than it saves. */
const gzipCharsMin = 1024;
/** Up to here compressing at once takes less than a millisecond; longer texts go to a thread. */
const gzipAtOnceCharsMax = 32 * 1024;
const gzipLevel = 4;
const gzipAside = promisify<Buffer, { level: number }, Buffer>(gzip);

export type ResponseContext = { request: Request; requestId: string };

/** The response of an answer. A promise only when it is compressed in a thread. */
export function respond(answer: Answer, { request, requestId }: ResponseContext): Response | Promise<Response> {
  const headers: Record<string, string> = {
    "content-type": answer.type,
    "x-request-id": requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...answer.headers,
  };
  const { body, status } = answer;
  if (body === null) {
    delete headers["content-type"];
    return new Response(null, { status, headers });
  }
  if (typeof body !== "string") {
    if (request.method !== "HEAD") return new Response(body, { status, headers });
    void body.cancel();
    return new Response(null, { status, headers });
  }
  if (body.length <= gzipCharsMin) return new Response(body, { status, headers });
  headers["vary"] = "accept-encoding";
  if (!takesGzip(request.headers.get("accept-encoding"))) return new Response(body, { status, headers });
  headers["content-encoding"] = "gzip";
  const bytes = Buffer.from(body);
  if (bytes.length <= gzipAtOnceCharsMax) return new Response(Bun.gzipSync(bytes, { level: gzipLevel }), { status, headers });
  return gzipAside(bytes, { level: gzipLevel }).then((packed) => new Response(new Uint8Array(packed), { status, headers }));
}

/** The response of anything thrown. Mistakes of our own keep their text to themselves. */
export function refuse(thrown: unknown, context: ResponseContext): Response {
  const body = publicError(thrown);
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "x-request-id": context.requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  const status = statusOf(body.code);
  if (status === 401) headers["www-authenticate"] = "Bearer";
  const allowed = body.details?.["allow"];
  if (status === 405 && Array.isArray(allowed)) headers["allow"] = allowed.join(", ");
  // What is left of a body is not worth waiting for.
  if (status === 413) headers["connection"] = "close";
  return new Response(JSON.stringify({ error: { ...body, request_id: context.requestId } }), { status, headers });
}

/** The envelope's inner object as clients may see it. */
export function publicError(thrown: unknown): ErrorBody {
  if (!isOurMistake(thrown)) return toErrorBody(thrown);
  return { code: "INTERNAL", kind: "internal", message: "Internal error: the server's log says more", hint: "Report it with the request id." };
}

export function isOurMistake(thrown: unknown): boolean {
  return !isCoded(thrown) || thrown.code === "INTERNAL";
}

/** RFC 9110, 12.5.3: gzip is taken when it, or `*`, is listed with a weight above 0. */
function takesGzip(accepted: string | null): boolean {
  if (accepted === null) return false;
  let any = false;
  for (const part of accepted.split(",")) {
    const [name = "", ...rest] = part.split(";");
    const weight = rest.map((one) => /^\s*q=([\d.]+)\s*$/i.exec(one)?.[1]).find((found) => found !== undefined);
    const isTaken = weight === undefined || Number(weight) > 0;
    const coding = name.trim().toLowerCase();
    if (coding === "gzip" || coding === "x-gzip") return isTaken;
    if (coding === "*") any = isTaken;
  }
  return any;
}
