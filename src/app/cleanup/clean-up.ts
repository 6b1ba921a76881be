// Removes ended executions with their traces: a tombstone for each first, which hides it at once, then its rows in portions. Between
// two portions everybody else has his turn; what a crash leaves the next run goes on with.
import { isCoded, limits } from "../../base/index.ts";
import { type Caller, type ExecutionState, principalText } from "../../model/index.ts";
import type { EndedExecution } from "../../storage/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";

export type CleanUpOrder = {
  states: readonly ExecutionState[];
  /** Executions that ended by then. */
  until: number;
  reason: "cleanup" | "retention";
  /** Counts only. */
  dryRun: boolean;
  /** Rests as long as it works. */
  isGentle: boolean;
  /** Stops by then; null: goes on until nothing is left. */
  deadline: number | null;
};
/** `complete`: nothing that the order meant is left. */
export type CleanUpReport = { executions: number; events: number; complete: boolean };

/** Executions whose tombstones share a transaction: two operations each. */
const burialsMax = 50;

/** @throws STORE_UNAVAILABLE; what was removed by then is removed */
export async function cleanUp(context: AppContext, caller: Caller, order: CleanUpOrder, signal: AbortSignal): Promise<CleanUpReport> {
  const report: CleanUpReport = { executions: 0, events: 0, complete: false };
  const pace = new Pace(context, order, signal);
  if (!order.dryRun) await removeBuried(context, pace);
  const needed = new Set(await context.store.listRestarted());
  for (const state of order.states) {
    for await (const found of pagesOf(context, { state, until: order.until, limit: order.dryRun ? limits.pageMax : burialsMax })) {
      if (pace.isOver()) return report;
      const page = found.filter(({ executionId }) => !needed.has(executionId));
      const gone = order.dryRun ? page : await bury(context, caller, { page, reason: order.reason });
      report.executions += gone.length;
      report.events += gone.reduce((sum, { events }) => sum + events, 0);
      if (!order.dryRun) await removeBuried(context, pace);
      await pace.rest();
    }
  }
  if (!order.dryRun) await releasePages(context, pace);
  report.complete = !pace.isOver();
  return report;
}

async function* pagesOf({ store }: AppContext, selection: { state: ExecutionState; until: number; limit: number }): AsyncGenerator<EndedExecution[]> {
  for (let after: { endedAt: number; executionId: string } | null = null; ; ) {
    const page: EndedExecution[] = await store.listEnded({ ...selection, ...(after === null ? {} : { after }) });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < selection.limit) return;
    after = last;
  }
}

/** Returns those that are gone by us: another process may have been first. */
async function bury(
  context: AppContext,
  caller: Caller,
  { page, reason }: { page: readonly EndedExecution[]; reason: CleanUpOrder["reason"] },
): Promise<EndedExecution[]> {
  context.session.ensure();
  const burials = page.map((ended) => {
    const { executionId: id, events: count, firstSeq, lastSeq, lastHash } = ended;
    const payload = {
      trace_id: id,
      subject: "execution",
      subject_id: id,
      count,
      first_seq: firstSeq,
      last_seq: lastSeq,
      last_hash: lastHash,
      reason,
      by: principalText(caller.principal),
    };
    const tombstone = systemEvent(context, caller, { type: "trace.ledger.pruned", payload });
    return context.ledger.commit({ events: [tombstone], opens: systemOpens(context), expected: new Map([[id, count]]), buries: id });
  });
  const outcomes = await Promise.allSettled(burials);
  for (const outcome of outcomes) if (outcome.status === "rejected" && !wasFirst(outcome.reason)) throw outcome.reason;
  return page.filter((_, index) => outcomes[index]?.status === "fulfilled");
}

const wasFirst = (cause: unknown): boolean => isCoded(cause, "ALREADY_EXISTS") || isCoded(cause, "CLAIM_LOST");

async function removeBuried({ store }: AppContext, pace: Pace): Promise<void> {
  while (!pace.isOver()) {
    const { isDone } = await pace.work((rows) => store.removeBuried(rows));
    if (isDone) return;
    await pace.rest();
  }
}

const pagesAPortion = 500;

async function releasePages({ store }: AppContext, pace: Pace): Promise<void> {
  while (!pace.isOver() && (await pace.work(() => store.releasePages(pagesAPortion))) > 0) await pace.rest();
}

/** A portion grows while it is short, and shrinks when it is long: disks differ by far more than rows do. */
const portion = { rowsMin: 200, rowsMax: 5000, shortMs: 5, longMs: 10 };

class Pace {
  readonly #context: AppContext;
  readonly #order: CleanUpOrder;
  readonly #signal: AbortSignal;
  #rows = portion.rowsMin;
  #tookMs = 0;

  constructor(context: AppContext, order: CleanUpOrder, signal: AbortSignal) {
    this.#context = context;
    this.#order = order;
    this.#signal = signal;
  }

  isOver(): boolean {
    return this.#signal.aborted || (this.#order.deadline !== null && this.#context.clock.now() >= this.#order.deadline);
  }

  async work<T>(step: (rows: number) => Promise<T>): Promise<T> {
    const { clock } = this.#context;
    const from = clock.now();
    const result = await step(this.#rows);
    this.#tookMs = clock.now() - from;
    if (this.#tookMs > portion.longMs) this.#rows = Math.max(portion.rowsMin, Math.floor(this.#rows / 2));
    else if (this.#tookMs < portion.shortMs) this.#rows = Math.min(portion.rowsMax, this.#rows + portion.rowsMin);
    return result;
  }

  rest(): Promise<void> {
    const { timers, clock } = this.#context;
    const [tookMs, isGentle] = [this.#tookMs, this.#order.isGentle];
    return new Promise((resolve) => void (isGentle ? timers.set(clock.now() + tookMs, resolve) : timers.soon(resolve)));
  }
}
