// The service session of this process: opened with its first write, ended with the process, or found lost at the next start.
import type { Clock, Ids } from "../base/index.ts";
import { actorOf, type Principal } from "../model/index.ts";
import type { OwnerWatch } from "../engine/index.ts";
import type { Store } from "../storage/index.ts";
import { draftEvent, type Ledger } from "../trace/index.ts";

/** A session without a sign of life is given up after this long, where the process cannot be looked at. */
const unknownMs = 24 * 3_600_000;

type Deps = { store: Store; ledger: Ledger; clock: Clock; ids: Ids; owner: string; owners: OwnerWatch; principal: Principal };

export class ServiceSession {
  readonly id: string;
  readonly #deps: Deps;
  readonly #traceId: string;
  readonly #spanId: string;
  #opened: Promise<void> | null = null;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.id = deps.ids.next();
    this.#traceId = deps.ids.next();
    this.#spanId = deps.ids.next();
  }

  /** Called before anything is written under the session: its first event is handed to the ledger first, so it is durable no later. */
  ensure(): void {
    this.#opened ??= this.#open();
    // A store that cannot take it cannot take what follows either, and that is what the caller hears of.
    this.#opened.catch(() => undefined);
  }

  /** Ends the session, if it was opened. */
  async end(reason: string): Promise<void> {
    if (this.#opened === null) return;
    await this.#opened;
    await this.#write("trace.session.ended", await this.#summary(this.id, this.#traceId, reason));
    await this.#deps.store.releaseClaims(await this.#deps.store.findClaims([resourceOf(this.id)]));
  }

  /** Ends the sessions of processes that died without doing so. */
  async endLost(): Promise<void> {
    const { store, ledger, clock, ids, owners } = this.#deps;
    for (const row of await store.listOpenSessions()) {
      if (row.session_id === this.id || row.expires_at !== null) continue;
      const [claim] = await store.findClaims([resourceOf(row.session_id)]);
      if (claim !== undefined && claim.expiresAt > clock.now() && !owners.isDead(claim.owner)) continue;
      const place = {
        traceId: row.trace_id,
        spanId: ids.next(),
        parentSpanId: null,
        sessionId: row.session_id,
        actor: { type: "runtime" as const, id: "engine" },
      };
      const payload = await this.#summary(row.session_id, row.trace_id, "lost");
      const event = draftEvent({ clock, ids }, place, { type: "trace.session.ended", payload, severity: "warn" });
      await ledger.commit({ events: [event] });
      if (claim !== undefined) await store.releaseClaims([claim]);
    }
  }

  /** A service session resolves and acts nothing; its events are those of its trace, the last one included. */
  async #summary(sessionId: string, traceId: string, reason: string) {
    const head = await this.#deps.store.findTrace(traceId);
    return { session_id: sessionId, reason, total_events: (head?.events ?? 0) + 1, resolutions: 0, actions_executed: 0 };
  }

  async #open(): Promise<void> {
    const { principal, owner, clock } = this.#deps;
    const payload = { session_id: this.id, principal, scopes: ["admin"], ttl_seconds: null, expires_at: null };
    const now = clock.now();
    await this.#write("trace.session.started", payload, { resource: resourceOf(this.id), owner, expiresAt: now + unknownMs, now });
  }

  async #write(
    type: string,
    payload: Parameters<typeof draftEvent>[2]["payload"],
    acquire?: { resource: string; owner: string; expiresAt: number; now: number },
  ): Promise<void> {
    const { ledger, principal } = this.#deps;
    const place = { traceId: this.#traceId, spanId: this.#spanId, parentSpanId: null, sessionId: this.id, actor: actorOf(principal) };
    const opens = new Map([[this.#traceId, { subject: "session" as const, subjectId: this.id }]]);
    await ledger.commit({ events: [draftEvent(this.#deps, place, { type, payload })], opens, ...(acquire === undefined ? {} : { acquire }) });
  }
}

function resourceOf(sessionId: string): string {
  return `session:${sessionId}`;
}
