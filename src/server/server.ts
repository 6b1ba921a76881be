// One HTTP server over one opened app: answers requests with or without a socket, listens, and stops without cutting anyone off needlessly.
import type { App } from "../app/index.ts";
import { type Clock, fail, type Ids } from "../base/index.ts";
import type { Caller } from "../model/index.ts";
import { type Listening, openSocket } from "./listen.ts";
import { Pipeline } from "./pipeline.ts";
import { openApiDocument } from "./reference/openapi.ts";
import { referencePage } from "./reference/page.ts";
import { routes } from "./route-table.ts";
import { createRouter, type Router } from "./router.ts";
import { isOurMistake } from "./http/respond.ts";
import type { ServerState } from "./server-state.ts";
import { EventStreams } from "./streams/event-streams.ts";
import { systemTimers, type Timers } from "./streams/timers.ts";

export type ServerDeps = {
  app: App;
  clock: Clock;
  /** For request ids. */
  ids: Ids;
  timers?: Timers;
  /** Told of every mistake of our own; clients get its request id only. */
  onInternalError?: (thrown: unknown, requestId: string) => void;
};

export interface Server {
  /** Answers a request. With a caller, who was authenticated otherwise, it needs no key. */
  handle(request: Request, as?: Caller): Promise<Response>;
  /** @throws CONFIG_INVALID when the address cannot or must not be listened on */
  listen(): Promise<{ url: string; host: string; port: number }>;
  /** Ends streams, lets requests finish up to `graceMs` (default 5 s), then closes what is left. */
  stop(options?: { graceMs?: number }): Promise<void>;
}

const graceMsDefault = 5000;

export function createServer(deps: ServerDeps): Server {
  return new HttpServer(deps);
}

class HttpServer implements Server {
  readonly #deps: ServerDeps;
  readonly #timers: Timers;
  readonly #state: ServerState;
  readonly #known = new WeakMap<Request, Caller>();
  readonly #router: Router;
  #listening: Listening | null = null;
  #inFlight = 0;
  #onIdle: (() => void) | null = null;

  constructor(deps: ServerDeps) {
    this.#deps = deps;
    this.#timers = deps.timers ?? systemTimers;
    const onInternalError = deps.onInternalError ?? (() => undefined);
    this.#state = this.#createState((thrown, requestId) => {
      if (isOurMistake(thrown)) onInternalError(thrown, requestId);
    });
    this.#router = createRouter(routes, new Pipeline({ state: this.#state, ids: deps.ids, routes, known: this.#known, onInternalError }));
  }

  async handle(request: Request, as?: Caller): Promise<Response> {
    if (as !== undefined) this.#known.set(request, as);
    this.#inFlight++;
    try {
      return await this.#router(request);
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) this.#onIdle?.();
    }
  }

  async listen(): Promise<{ url: string; host: string; port: number }> {
    if (this.#listening !== null) throw fail("INTERNAL", "Cannot listen: the server listens already");
    this.#listening = openSocket(this.#deps.app.loaded.config.server, (request) => this.handle(request));
    const { url, host, port } = this.#listening;
    return { url, host, port };
  }

  async stop({ graceMs = graceMsDefault }: { graceMs?: number } = {}): Promise<void> {
    this.#state.stopping = true;
    const socket = this.#listening?.socket;
    // Takes no new connections, and keeps those with a request in them.
    const closed = socket?.stop(false);
    this.#state.streams.endAll();
    await this.#untilIdle(graceMs);
    await socket?.stop(true);
    await closed;
    this.#listening = null;
  }

  async #untilIdle(graceMs: number): Promise<void> {
    if (this.#inFlight === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    const cancel = this.#timers.after(graceMs, resolve);
    await promise;
    cancel();
    this.#onIdle = null;
  }

  #createState(onError: (thrown: unknown, requestId: string) => void): ServerState {
    const { app, clock } = this.#deps;
    let openapi: string | null = null;
    let page: { html: string; policy: string } | null = null;
    return {
      app,
      clock,
      startedAt: clock.now(),
      streams: new EventStreams({ app, timers: this.#timers, onError }),
      requests: new Map(),
      reference: {
        openapi: () => (openapi ??= JSON.stringify(openApiDocument(routes))),
        page: () => (page ??= referencePage(routes)),
      },
      keepOpen: (request) => this.#listening?.socket.timeout(request, 0),
      stopping: false,
    };
  }
}
