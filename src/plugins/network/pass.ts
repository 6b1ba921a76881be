// One attempt's right to the network: its token, its listeners and every connection that uses them.
import { sha256Hex } from "../../base/index.ts";
import type { Connection } from "./connection.ts";
import { findRoute } from "./dial.ts";
import type { Lookup, Route } from "./dial.ts";
import type { NetworkDecision, PassRequest } from "./ports.ts";
import type { Target } from "./target.ts";

export type PassDeps = { lookup: Lookup; onTrouble: (text: string) => void };

export class Pass {
  readonly tokenDigest: string;
  readonly connections = new Set<Connection>();
  isOpen = true;
  #request: PassRequest;
  #deps: PassDeps;

  constructor(request: PassRequest, token: string, deps: PassDeps) {
    this.#request = request;
    this.#deps = deps;
    this.tokenDigest = digestToken(token);
  }

  /** Decides about one target and reports it. */
  async decide(target: Target, via: NetworkDecision["via"]): Promise<Route> {
    const { entries, mode } = this.#request;
    const route = await findRoute(target, { entries, mode, lookup: this.#deps.lookup });
    if (this.isOpen) this.#report({ host: target.host, port: target.port, allowed: route.allowed, why: route.why, entries: route.entries, via });
    return route;
  }

  close(): void {
    this.isOpen = false;
    for (const connection of this.connections) connection.destroy();
  }

  #report(decision: NetworkDecision): void {
    try {
      this.#request.onDecision(decision);
    } catch (cause) {
      this.#deps.onTrouble(`Cannot report a network decision: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
}

/** Tokens are looked up by this: how long a look-up takes says nothing about the token. */
export function digestToken(token: string): string {
  return sha256Hex(token);
}
