// One HTTP call to a server: key, query, body, and the envelope of a refusal turned back into the error it was.
import { type CodedError, type ErrorBody, fail, fromErrorBody, isObject } from "../../base/index.ts";

export type RemoteServer = {
  /** Without a slash at the end. */
  url: string;
  key: string | null;
  /** What to say when the server wants another key: why the one that is there was not used, or is not good. */
  keyProblem: string | null;
  /** Whether it is the server of this command's own data folder; another one is told nothing about this machine's folders. */
  isOwn: boolean;
  /** Answers in place of the network: this process serves the routes to itself. */
  answer?: (request: Request) => Promise<Response>;
};

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>;

export type Call = {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Query;
  /** JSON, unless `contentType` says that it is text. */
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

/** A path with its variable parts escaped: route`/api/v1/workflows/${id}`. */
export function route(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce((path, part, index) => `${path}${encodeURIComponent(String(values[index - 1]))}${part}`);
}

/** `?a=1&b=x,y`; members that are absent are left out, lists are joined by commas. */
function queryText(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    search.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** The server's answer to an accepted call. @throws SERVER_UNREACHABLE, and what the server refuses with */
export async function send(server: RemoteServer, call: Call): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json", ...call.headers };
  if (server.key !== null) headers["authorization"] = `Bearer ${server.key}`;
  const request: RequestInit = { method: call.method, headers, redirect: "error" };
  if (call.signal !== undefined) request.signal = call.signal;
  if (call.body !== undefined) {
    headers["content-type"] = call.contentType ?? "application/json";
    request.body = call.contentType === undefined ? JSON.stringify(call.body) : String(call.body);
  }
  let response: Response;
  try {
    const target = `${server.url}${call.path}${queryText(call.query ?? {})}`;
    response = await (server.answer === undefined ? fetch(target, request) : server.answer(new Request(target, request)));
  } catch (cause) {
    if (call.signal?.aborted === true) throw cause;
    throw unreachable(server, cause);
  }
  if (!response.ok) throw await refusal(server, response);
  return response;
}

export function unreachable(server: RemoteServer, cause: unknown): CodedError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return fail("SERVER_UNREACHABLE", `Cannot reach the server at ${server.url}: ${text}`, { hint: "Start one with: workflow server start", cause });
}

const keyHint = "Give a key with --api-key or AUTOKESTRA_API_KEY.";

async function refusal(server: RemoteServer, response: Response): Promise<CodedError> {
  const text = await response.text();
  const body = envelopeOf(text);
  if (body !== null) return fromErrorBody(body.code === "UNAUTHORIZED" ? { ...body, ...hintOf(server, body) } : body);
  // Not ours: something stands between, or another program listens there.
  const code = response.status === 401 ? "UNAUTHORIZED" : "SERVER_UNREACHABLE";
  return fail(code, `Cannot use the server at ${server.url}: it answered ${response.status} without an error of ours`);
}

function hintOf({ key, keyProblem }: RemoteServer, { hint }: ErrorBody): { hint?: string } {
  const said = keyProblem ?? (key === null ? keyHint : hint);
  return said === undefined ? {} : { hint: said };
}

function envelopeOf(text: string): ErrorBody | null {
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isObject(parsed) || !isObject(parsed["error"])) return null;
    const { request_id: requestId, ...body } = parsed["error"];
    if (typeof body["code"] !== "string" || typeof body["message"] !== "string") return null;
    return { ...(body as ErrorBody), ...(typeof requestId === "string" ? { request_id: requestId } : {}) };
  } catch {
    return null;
  }
}

/** The body of an answer that should be JSON. @throws SERVER_UNREACHABLE when it is something else */
export async function readJson<T>(server: RemoteServer, response: Response): Promise<T> {
  const text = await response.text();
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw fail("SERVER_UNREACHABLE", `Cannot use the server at ${server.url}: its answer is not JSON`, { cause });
  }
}
