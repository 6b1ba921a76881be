// The input of `core/http.request`, with its defaults filled in and everything checked that its schema cannot say.
import { type Json, parseDuration } from "../../base/index.ts";
import { inputError } from "../shared/failure.ts";

type Scalar = string | number | boolean | null;
type Scalars = Record<string, Scalar | Scalar[]>;
export type MultipartPart = { name: string; value?: string; file?: string; filename?: string; contentType?: string };
export type TlsInput = { ca?: string; cert?: string; key?: string; insecure?: boolean };
type RetriesInput = { max?: number; on?: number[]; delay?: string; maxDelay?: string };

export type HttpInput = {
  url: string;
  method?: string;
  headers?: Scalars;
  query?: Scalars;
  body?: Json;
  json?: Json;
  form?: Scalars;
  file?: string;
  multipart?: MultipartPart[];
  auth?: { basic?: { username: string; password: string }; bearer?: string };
  timeout?: string;
  followRedirects?: boolean;
  maxRedirects?: number;
  redirectHosts?: string[];
  retries?: number | RetriesInput;
  tls?: TlsInput;
  maxBytes?: number;
  failOnStatus?: boolean;
  saveAs?: string;
};

export type RetryPlan = { max: number; on: readonly number[]; delayMs: number; maxDelayMs: number };

/** What one request sends, redirects aside. */
export type RequestPlan = { url: URL; method: string; headers: Headers; timeoutMs: number; retries: RetryPlan };

/** Methods that mean the same when sent twice (RFC 9110, 9.2.2): only these are repeated without being told to. */
const repeatable = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
const retriedStatuses = [429, 502, 503, 504];

/** What belongs to one connection: set by the client itself, and through a proxy a way to smuggle a second request. */
const connectionHeaders = new Set(["connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive", "expect"]);

/** @throws TASK_INPUT_INVALID */
export function planRequest(input: HttpInput): RequestPlan {
  const method = (input.method ?? "GET").toUpperCase();
  if (method === "CONNECT") throw inputError("Cannot send a request with the method CONNECT: it opens a tunnel");
  const url = readUrl(input);
  return {
    url,
    method,
    headers: readHeaders(input, url),
    timeoutMs: readDuration(input.timeout ?? "30s", "timeout"),
    retries: readRetries(input, method),
  };
}

function readUrl({ url: text, query = {} }: HttpInput): URL {
  if (!URL.canParse(text))
    throw inputError("Cannot send a request: the URL is not one", "Write it with its scheme, such as https://api.example.com/items.");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw inputError(`Cannot send a request to a ${url.protocol} URL: neither http nor https`);
  url.hash = "";
  for (const [name, value] of pairsOf(query)) url.searchParams.append(name, value);
  return url;
}

/** Names with their values as text: lists repeat the name, null is left out. */
export function pairsOf(values: Scalars): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) =>
    [value].flat().flatMap((one): [string, string][] => (one === null ? [] : [[name, String(one)]])),
  );
}

function readHeaders({ headers = {}, auth }: HttpInput, url: URL): Headers {
  const made = new Headers();
  for (const [name, value] of pairsOf(headers)) {
    const lower = name.toLowerCase();
    if (connectionHeaders.has(lower) || lower.startsWith("proxy-"))
      throw inputError(`Cannot send the header "${name}": it belongs to the connection, which is not yours to set`);
    try {
      made.append(name, value);
    } catch {
      // The library's message would repeat the value, which may be a secret.
      throw inputError(`Cannot send the header "${name.slice(0, 100)}": its name or its value has characters that headers cannot have`);
    }
  }
  const basic = auth?.basic ?? userOf(url);
  if (auth?.basic !== undefined && auth.bearer !== undefined) throw inputError("Cannot send a request with both auth.basic and auth.bearer");
  if (auth?.bearer !== undefined) setAuthorization(made, `Bearer ${auth.bearer}`);
  else if (basic !== null) setAuthorization(made, `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString("base64")}`);
  url.username = "";
  url.password = "";
  return made;
}

function setAuthorization(headers: Headers, value: string): void {
  try {
    headers.set("authorization", value);
  } catch {
    throw inputError("Cannot send a request: auth holds characters that headers cannot have");
  }
}

function userOf(url: URL): { username: string; password: string } | null {
  if (url.username === "" && url.password === "") return null;
  try {
    return { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch {
    throw inputError("Cannot send a request: the URL's user is not well encoded");
  }
}

function readRetries({ retries }: HttpInput, method: string): RetryPlan {
  const own: RetriesInput = typeof retries === "number" ? { max: retries } : (retries ?? {});
  const fallback = retries === undefined && !repeatable.has(method) ? 0 : 2;
  return {
    max: own.max ?? fallback,
    on: own.on ?? retriedStatuses,
    delayMs: readDuration(own.delay ?? "500ms", "retries.delay"),
    maxDelayMs: readDuration(own.maxDelay ?? "1m", "retries.maxDelay"),
  };
}

/** setTimeout cannot count further than this; a longer wait is none that a task takes. */
const timerMsMax = 2 ** 31 - 1;

function readDuration(text: string, member: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw inputError(`Cannot read ${member} "${text}": not a duration`, "Write 500ms, 30s or 5m.");
  return Math.min(ms, timerMsMax);
}
