// The way of every request to its handler, with all refusals in their one order: request line, key, scope, query, body, existence; state is the verb's.
import type { Caller } from "../model/index.ts";
import { fail, type Ids } from "../base/index.ts";
import type { Answer } from "./http/answer.ts";
import { authenticate, requireScope } from "./http/authenticate.ts";
import { readBody } from "./http/body.ts";
import { readQuery } from "./http/query.ts";
import { checkRequestLine, requestIdOf, splitTarget } from "./http/request-line.ts";
import { isOurMistake, refuse, respond } from "./http/respond.ts";
import type { Call, Route } from "./route.ts";
import { countRequest, type ServerState } from "./server-state.ts";

export type PipelineDeps = {
  state: ServerState;
  ids: Ids;
  routes: readonly Route[];
  /** Callers of requests that this process makes to itself; they need no key. */
  known: WeakMap<Request, Caller>;
  /** Told of every mistake of our own. */
  onInternalError: (thrown: unknown, requestId: string) => void;
};

type RawCall = { request: Request; requestId: string; params: Record<string, string>; caller: Caller | null };

const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

export class Pipeline {
  readonly #deps: PipelineDeps;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
  }

  /** Answers a request that the router has brought to its route. Never rejects. */
  async dispatch(route: Route, request: Request, params: Record<string, string>): Promise<Response> {
    return this.#guard(`${route.method} ${route.path}`, request, async (requestId) => {
      const caller = route.scope === null ? null : await this.#callerOf(request);
      if (caller !== null && route.scope !== null) requireScope(caller, route.scope);
      const call = await this.#readCall(route, { request, requestId, params, caller });
      if (this.#deps.state.stopping && route.method !== "GET") throw fail("NOT_READY", "Cannot take work: the server is stopping");
      return await route.handler(call);
    });
  }

  /** Answers a request that fits no route: 405 where the path has others, else 404; the key comes first. */
  async dispatchUnknown(request: Request): Promise<Response> {
    return this.#guard(`${request.method} unmatched`, request, async () => {
      const { path } = splitTarget(request.url);
      const here = this.#deps.routes.filter((route) => matchPath(route.path, path) !== null);
      // Hooks bring their own proof, so there is no key to ask for.
      if (path.startsWith("/hooks/") && here.length === 0) throw fail("NOT_FOUND", `Cannot deliver to "${path}": no such hook`);
      if (here.length === 0 || here.some((route) => route.scope !== null)) await this.#callerOf(request);
      if (here.length === 0) throw fail("NOT_FOUND", `Cannot serve "${path}": no such route`, { hint: "GET /openapi.json lists the routes." });
      const allow = here.flatMap(({ method, isRaw }) => (method === "GET" && isRaw !== true ? ["GET", "HEAD"] : [method])).toSorted();
      throw fail("METHOD_NOT_ALLOWED", `Cannot ${request.method} "${path}": it takes ${allow.join(", ")}`, { details: { allow } });
    });
  }

  async #guard(name: string, request: Request, run: (requestId: string) => Promise<Answer>): Promise<Response> {
    const { state, ids } = this.#deps;
    const context = { request, requestId: requestIdOf(request.headers) ?? ids.next() };
    let response: Response;
    try {
      checkRequestLine(request.url);
      response = await respond(await run(context.requestId), context);
    } catch (thrown) {
      if (isOurMistake(thrown)) this.#deps.onInternalError(thrown, context.requestId);
      response = refuse(thrown, context);
    }
    countRequest(state.requests, name, response.status);
    return response;
  }

  async #callerOf(request: Request): Promise<Caller> {
    return this.#deps.known.get(request) ?? (await authenticate(this.#deps.state.app, request.headers));
  }

  async #readCall(route: Route, { request, requestId, params, caller }: RawCall): Promise<Call> {
    const { state } = this.#deps;
    const query = route.isRaw === true ? {} : readQuery(route.query, splitTarget(request.url).search);
    const idempotencyKey = route.idempotent ? readIdempotencyKey(request.headers) : null;
    const lastEventId = route.resumable ? readLastEventId(request.headers) : null;
    const body = route.body === null ? undefined : await readBody(route.body, request);
    checkParams(route, params);
    const open = { request, requestId, state, params, query, body, idempotencyKey, lastEventId };
    // Handlers of public routes are typed without a caller, so the missing one is never seen.
    return caller === null ? (open as unknown as Call) : { ...open, caller, facade: state.app.facade(caller) };
  }
}

/** The variable parts of a path that fits the pattern, decoded; null when it does not fit. A `*` at the end takes one part or more. */
export function matchPath(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  let given = path.split("/");
  if (wanted.at(-1) === "*") {
    wanted[wanted.length - 1] = ":*";
    given = [...given.slice(0, wanted.length - 1), ...(given.length < wanted.length ? [] : [given.slice(wanted.length - 1).join("/")])];
  }
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== text) return null;
      continue;
    }
    if (text === "") return null;
    params[part.slice(1)] = decodePart(text);
  }
  return params;
}

// A text that is no percent-encoding is refused with the request line; until then it stands for itself.
function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readIdempotencyKey(headers: Headers): string | null {
  const key = headers.get("idempotency-key");
  if (key === null || idempotencyKeyPattern.test(key)) return key;
  throw fail("BAD_REQUEST", "Cannot read the header Idempotency-Key: it must be 1 to 255 visible ASCII characters");
}

function readLastEventId(headers: Headers): number | null {
  const text = headers.get("last-event-id");
  if (text === null || text === "") return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw fail("BAD_REQUEST", `Cannot read the header Last-Event-ID: "${text}" is not a number that this stream gave`);
}

function checkParams(route: Route, params: Record<string, string>): void {
  for (const [name, { isValid, code, noun }] of Object.entries(route.params)) {
    const text = params[name] ?? "";
    if (!isValid(text)) throw fail(code, `Cannot find ${noun} "${text}": no such ${noun}`);
  }
}
