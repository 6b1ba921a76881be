// `core/http.request`: one request with its redirects and retries, as {status, headers, body}. The proxy of the environment decides
// which hosts are reached; nothing that could be a secret gets into an error.
import { isCoded, type Json, type JsonObject, parseDuration } from "../../base/index.ts";
import type { ActionContext } from "../shared/context.ts";
import { failure } from "../shared/failure.ts";
import { type HttpInput, planRequest, type RequestPlan, type RetryPlan } from "./input.ts";
import { readRequestBody, readTls, type RequestBody } from "./request-body.ts";
import { readExcerpt, readResponseBody } from "./response-body.ts";

const bodyBytesDefault = 10 * 1024 * 1024;
const redirectsDefault = 10;
const excerptUnitsMax = 1000;
/** What a server says of the one who asks is not for the next server. */
const privateHeaders = ["authorization", "cookie", "proxy-authorization"];

type Request = { input: HttpInput; plan: RequestPlan; body: RequestBody | null; tls: BunFetchRequestInitTLS | null; context: ActionContext };

/** {status, headers (lower case), body}. @throws HTTP_STATUS, HTTP_UNREACHABLE, HTTP_TIMEOUT, TOO_LARGE, TASK_INPUT_INVALID, FILE_NOT_FOUND */
export async function sendRequest(given: JsonObject, context: ActionContext): Promise<JsonObject> {
  const input = given as unknown as HttpInput;
  const plan = planRequest(input);
  const body = await readRequestBody(input, plan.method);
  const request: Request = { input, plan, body, tls: await readTls(input.tls), context };
  for (let attempt = 0; ; attempt += 1) {
    const answer = await sendOnce(request, attempt);
    if ("output" in answer) return answer.output;
    await pause(answer.retryAfterMs, context.signal);
  }
}

type Answer = { output: JsonObject } | { retryAfterMs: number };

/** One request with all its redirects. Its time limit covers the body too. */
async function sendOnce(request: Request, attempt: number): Promise<Answer> {
  const { input, plan, context } = request;
  const timeout = AbortSignal.timeout(plan.timeoutMs);
  try {
    const { response, url } = await follow(request, AbortSignal.any([timeout, context.signal]));
    const { status } = response;
    const retryAfterMs = attempt < plan.retries.max && plan.retries.on.includes(status) ? delayOf(response, plan.retries, attempt) : null;
    if (retryAfterMs !== null) {
      await response.body?.cancel();
      return { retryAfterMs };
    }
    if (status >= 400 && (input.failOnStatus ?? true)) throw await statusError(plan, response, url);
    const rules = { workdir: context.workdir, maxBytes: input.maxBytes ?? bodyBytesDefault, saveAs: input.saveAs, url };
    const hasBody = plan.method !== "HEAD" && status !== 204 && status !== 304;
    const body: Json = hasBody ? await readResponseBody(response, rules) : null;
    return { output: { status, headers: headersOf(response), body } };
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    throw connectionError({ plan, isTimeout: timeout.aborted, isStopped: context.signal.aborted, cause });
  }
}

async function follow(request: Request, signal: AbortSignal): Promise<{ response: Response; url: URL }> {
  const { input, plan, tls } = request;
  const redirectsMax = (input.followRedirects ?? true) ? (input.maxRedirects ?? redirectsDefault) : 0;
  const headers = new Headers(plan.headers);
  let { url, method } = plan;
  let { body } = request;
  for (let count = 0; ; count += 1) {
    if (body?.contentType !== null && body !== null && !headers.has("content-type")) headers.set("content-type", body.contentType);
    const init: BunFetchRequestInit = { method, headers, redirect: "manual", signal };
    if (body !== null) init.body = body.content;
    if (tls !== null) init.tls = tls;
    const response = await fetch(url, init);
    if (isOfProxy(response, url)) throw await proxyError(plan, response, url);
    const next = (input.followRedirects ?? true) ? locationOf(response, url) : null;
    if (next === null) return { response, url };
    await response.body?.cancel();
    if (count >= redirectsMax) throw redirectError(plan, `it was redirected more than ${redirectsMax} times`);
    if (turnsIntoGet(response.status, method)) {
      method = "GET";
      body = null;
      for (const name of ["content-type", "content-encoding", "content-language", "content-location"]) headers.delete(name);
    }
    if (next.origin !== url.origin) for (const name of privateHeaders) headers.delete(name);
    url = next;
  }
}

/** Where a response leads, null when it is no redirect. */
function locationOf(response: Response, from: URL): URL | null {
  if (![301, 302, 303, 307, 308].includes(response.status)) return null;
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, from.href)) return null;
  const next = new URL(location, from.href);
  if (next.protocol !== "http:" && next.protocol !== "https:") return null;
  next.username = "";
  next.password = "";
  next.hash = "";
  return next;
}

function turnsIntoGet(status: number, method: string): boolean {
  return status === 303 ? method !== "HEAD" && method !== "GET" : (status === 301 || status === 302) && method === "POST";
}

/** How long to wait before the next request, null when the server wants to be left alone for longer than is waited. */
function delayOf(response: Response, retries: RetryPlan, attempt: number): number | null {
  const header = response.headers.get("retry-after");
  const asked = header === null ? null : readRetryAfter(header.trim());
  const delayMs = asked ?? Math.min(retries.delayMs * 2 ** attempt, retries.maxDelayMs);
  return delayMs <= retries.maxDelayMs ? delayMs : null;
}

/** Retry-After (RFC 9110, 10.2.3): seconds, or a date. Milliseconds from now; null when it is neither. */
function readRetryAfter(text: string): number | null {
  if (/^\d{1,9}$/.test(text)) return parseDuration(`${text}s`);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(failure("HTTP_UNREACHABLE", "The request was given up: the task is to end", { retryable: false }));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

function headersOf(response: Response): JsonObject {
  const cookies = response.headers.getSetCookie();
  const headers: JsonObject = Object.fromEntries([...response.headers].filter(([name]) => name !== "set-cookie"));
  return cookies.length === 0 ? headers : { ...headers, "set-cookie": cookies };
}

/** A URL without what may be secret in it. */
function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === "" ? "" : "?…"}`;
}

async function statusError(plan: RequestPlan, response: Response, url: URL): Promise<Error> {
  const { status } = response;
  const retryAfter = response.headers.get("retry-after");
  const details = {
    status,
    url: shownUrl(url),
    method: plan.method,
    contentType: response.headers.get("content-type"),
    body: await readExcerpt(response, excerptUnitsMax),
    ...(retryAfter === null ? {} : { retryAfter }),
  };
  const retryable = status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
  return failure("HTTP_STATUS", `The request ${plan.method} ${shownUrl(url)} failed: status ${status}`, { details, retryable });
}

/** Whether the proxy of the environment answered itself: only where it reads the request, which of https it does not. */
function isOfProxy(response: Response, url: URL): boolean {
  if (url.protocol !== "http:" || (process.env["HTTP_PROXY"] ?? "") === "") return false;
  return response.headers.has("x-denied-by") || response.headers.get("proxy-status") === "workflow";
}

async function proxyError(plan: RequestPlan, response: Response, url: URL): Promise<Error> {
  const isDenied = response.status === 403;
  return failure("HTTP_UNREACHABLE", `Cannot reach ${url.host}: ${await readExcerpt(response, excerptUnitsMax)}`, {
    details: { url: shownUrl(plan.url), target: targetOf(url) },
    ...(isDenied ? { hint: denialHint(plan, url) } : {}),
    retryable: !isDenied,
  });
}

function targetOf(url: URL): string {
  return `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port}`;
}

function denialHint(plan: RequestPlan, url: URL): string {
  const grant = `network: ["${targetOf(url)}"]`;
  return plan.url.host === url.host ? `Grant it: ${grant}.` : `A redirect leads there: name it in redirectHosts, and grant it: ${grant}.`;
}

function redirectError(plan: RequestPlan, why: string): Error {
  return failure("HTTP_STATUS", `The request ${plan.method} ${shownUrl(plan.url)} failed: ${why}`, {
    details: { url: shownUrl(plan.url) },
    retryable: false,
  });
}

type Broken = { plan: RequestPlan; isTimeout: boolean; isStopped: boolean; cause: unknown };

/** What fetch threw, by its code; its message is kept, since it names addresses and certificates but neither headers nor queries. */
function connectionError({ plan, isTimeout, isStopped, cause }: Broken): Error {
  const { code, message } = cause as { code?: string; message?: string };
  const url = shownUrl(plan.url);
  if (isTimeout && !isStopped)
    return failure("HTTP_TIMEOUT", `The request ${plan.method} ${url} took longer than ${plan.timeoutMs} ms`, {
      details: { url, timeoutMs: plan.timeoutMs },
      hint: "Raise timeout.",
      retryable: true,
    });
  // A certificate or a denied tunnel is the same at the next try.
  const isSettled = isStopped || /CERT|TLS|SSL|SELF_SIGNED|ISSUER|HOSTNAME/i.test(code ?? "") || /tunnel: 403/.test(message ?? "");
  const why = (message ?? String(cause)).replaceAll(plan.url.href, url);
  return failure("HTTP_UNREACHABLE", `Cannot reach ${url}: ${why}`, { details: { url, cause: code ?? null }, retryable: !isSettled });
}
