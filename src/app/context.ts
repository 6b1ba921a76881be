// What every verb works with, and the places in the ledger where events without an execution go.
import type { Clock, Ids, JsonObject } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { Engine, Timers } from "../engine/index.ts";
import { actorOf, type Artifact, type Caller, type EventDraft, type Severity } from "../model/index.ts";
import type { PluginRegistry } from "../plugins/index.ts";
import type { Vault } from "../secrets/index.ts";
import type { Store, TraceSubject } from "../storage/index.ts";
import { draftEvent, type Ledger } from "../trace/index.ts";
import type { RunningCleanups } from "./cleanup/index.ts";
import type { SandboxReport } from "./sandbox-report.ts";
import type { ServiceSession } from "./session.ts";

export type AppContext = {
  loaded: LoadedConfig;
  store: Store;
  ledger: Ledger;
  vault: Vault;
  engine: Engine;
  clock: Clock;
  ids: Ids;
  timers: Timers;
  session: ServiceSession;
  /** The store's one system trace. */
  systemTraceId: string;
  startedAt: number;
  registry: PluginRegistry;
  cleanups: RunningCleanups;
  /** Asks the kernel at its first call. */
  sandbox: () => SandboxReport;
  isReady: () => boolean;
};

/** An event of the system trace, by a caller. */
export function systemEvent(
  context: AppContext,
  caller: Caller,
  what: { type: string; payload: JsonObject; severity?: Severity; artifacts?: Artifact[] },
): EventDraft {
  const place = {
    traceId: context.systemTraceId,
    spanId: context.ids.next(),
    parentSpanId: null,
    sessionId: caller.sessionId,
    actor: actorOf(caller.principal),
  };
  return draftEvent(context, place, what);
}

/** Opens the system trace with whatever event comes first. */
export function systemOpens(context: AppContext): ReadonlyMap<string, TraceSubject> {
  return new Map([[context.systemTraceId, { subject: "system", subjectId: context.systemTraceId }]]);
}
