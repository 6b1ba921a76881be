// Fires cron triggers in the server's process. Every server on a store has every trigger in its heap and wakes for it; who is first to
// change the due run's row starts it. What a workflow's change means for its triggers is done at once, whichever process made it.
import { isCoded, limits, toErrorBody } from "../../base/index.ts";
import type { Caller } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import type { CommittedEvent } from "../../storage/index.ts";
import { nextCronTime } from "../../workflow/index.ts";
import type { AppContext } from "../context.ts";
import { planCatchUp, recordCatchUp } from "./catch-up.ts";
import type { FileWatches } from "./file-watches.ts";
import { type CronRun, dueState, runChange, startRun, waitingRemovals, wasTaken } from "./due-runs.ts";
import { type CronEntry, TriggerHeap } from "./trigger-heap.ts";

export type SchedulerDeps = {
  context: AppContext;
  /** Who starts: the server. */
  caller: Caller;
  /** Whether another server on this store lives: what is due this very moment is then in its hands as well. */
  hasPeers: () => Promise<boolean>;
  onTrouble: (text: string) => void;
  /** File triggers are watched where cron triggers are timed: for workflows that are armed. */
  files?: FileWatches;
};

/** A time that was looked at so late came while nobody ran: the machine slept, or the process stood still. */
const graceMs = 15_000;
/** The clock is looked at this often at least: it may be set, or the machine wake up. */
const wakeMs = 10_000;
/** Entries that are moved on in one turn of the event loop, some 60 µs each. */
const turnEntriesMax = 100;
/** Starts under way at a time: enough to share transactions, few enough that others get their turn. */
const startsMax = 16;
const retryMs = 1000;
const triesMax = 5;

type Armed = { revision: number; updatedAt: number; entries: CronEntry[] };
type Start = CronRun & { tries: number };

export class Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #heap = new TriggerHeap();
  readonly #armed = new Map<string, Armed>();
  readonly #starts: Start[] = [];
  /** Entries whose next run is not stored yet. */
  #unstored: CronEntry[] = [];
  #active = 0;
  #idle = Promise.withResolvers<void>();
  /** Changes are worked on one after the other. */
  #work: Promise<void> = Promise.resolve();
  #timer: unknown = null;
  #timerAt = Number.POSITIVE_INFINITY;
  /** Up to where other processes' events were read. */
  #seen = 0;
  #since = 0;
  #isLooking = false;
  #isStopping = false;
  #off: () => void = () => undefined;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
    this.#idle.resolve();
  }

  /** Triggers that wait for their time here. */
  get size(): number {
    return this.#heap.size;
  }

  /** Takes up all triggers, and what came due since a server last ran. Resolves when that is done; firing begins before. */
  start(): Promise<void> {
    const { ledger } = this.#deps.context;
    this.#off = ledger.listen((news) => (news.external ? this.#hearOthers() : this.#hear(news.events)));
    this.#enqueue(() => this.#takeUp());
    return this.#work;
  }

  /** Fires nothing more; resolves when what was being started is durable. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#off();
    this.#deps.context.timers.clear(this.#timer);
    this.#starts.length = 0;
    await this.#work;
    await this.#deps.files?.stop();
    await this.#idle.promise;
  }

  #enqueue(job: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (!this.#isStopping) await job().catch((cause: unknown) => this.#tell("Cannot plan triggers", cause));
    });
  }

  #tell(what: string, cause: unknown): void {
    const { code, message } = toErrorBody(cause);
    if (!this.#isStopping) this.#deps.onTrouble(`${what}: ${code}: ${message}`);
  }

  async #takeUp(): Promise<void> {
    const { store, clock, timers } = this.#deps.context;
    this.#since = await store.schedulesSince();
    this.#seen = await store.lastSeq();
    await store.sweepDueRuns(clock.now() - limits.backfillMsMax);
    const toleranceMs = (await this.#deps.hasPeers()) ? graceMs : 0;
    const waiting = Map.groupBy(await store.listWaitingRuns(null), (row) => row.workflow);
    let afterId = "";
    for (;;) {
      const page = await store.listWorkflows({ enabled: true, afterId, limit: 100 });
      for (const row of page) {
        if (this.#isStopping) return;
        if (row.armed === 1) await this.#arm(row, waiting.get(row.id) ?? [], toleranceMs);
        if (row.armed === 1) waiting.delete(row.id);
        // Reading a workflow takes a millisecond; requests and ticks come in between.
        await new Promise<void>((resolve) => timers.soon(resolve));
      }
      const last = page.at(-1);
      if (last === undefined) break;
      afterId = last.id;
    }
    for (const workflow of waiting.keys()) await this.#forgetWaiting(workflow);
    await this.#deps.files?.dropOthers();
  }

  #hear(events: readonly CommittedEvent[]): void {
    const first = events[0]?.seq ?? 0;
    // Only where nothing lies in between: what other processes wrote there is read when it is announced.
    if (first === this.#seen + 1) this.#seen = events.at(-1)?.seq ?? this.#seen;
    for (const { draft } of events) if (workflowEvents.includes(draft.type)) this.#enqueue(() => this.#replan(String(draft.payload["workflow"])));
  }

  #hearOthers(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#enqueue(async () => {
      this.#isLooking = false;
      const { store } = this.#deps.context;
      const last = await store.lastSeq();
      const changed = new Set<string>();
      for (let afterSeq = this.#seen; afterSeq < last; ) {
        const events = await store.listEvents({ afterSeq, types: workflowEvents, limit: 500 });
        for (const { body } of events) changed.add(String((JSON.parse(body) as { payload: { workflow: string } }).payload.workflow));
        afterSeq = events.length < 500 ? last : (events.at(-1)?.seq ?? last);
      }
      this.#seen = Math.max(this.#seen, last);
      for (const id of changed) await this.#replan(id);
    });
  }

  async #replan(id: string): Promise<void> {
    const { store } = this.#deps.context;
    const row = await store.findWorkflow(id);
    const known = this.#armed.get(id);
    if (row === null || row.armed === 0 || row.enabled === 0) {
      this.#disarm(id);
      await this.#deps.files?.drop(id);
      return this.#forgetWaiting(id);
    }
    if (known === undefined || known.revision !== row.revision || known.updatedAt !== row.updated_at)
      await this.#arm(row, await store.listWaitingRuns(id), graceMs);
  }

  #disarm(id: string): void {
    for (const entry of this.#armed.get(id)?.entries ?? []) entry.isLive = false;
    this.#armed.delete(id);
  }

  async #forgetWaiting(workflow: string, keeps?: (row: RowOf<"due_runs">) => boolean): Promise<void> {
    const { store, ledger } = this.#deps.context;
    const sideChanges = await waitingRemovals(store, workflow, keeps);
    if (sideChanges.length > 0) await ledger.commit({ events: [], sideChanges });
  }

  async #arm(row: RowOf<"workflows">, waiting: readonly RowOf<"due_runs">[], toleranceMs: number): Promise<void> {
    this.#disarm(row.id);
    const entries: CronEntry[] = [];
    const { plan } = await this.#deps.context.engine.plans.load(row.id, row.revision);
    await this.#deps.files?.arm(row, plan.definition.triggers);
    for (const trigger of plan.definition.triggers) {
      if (trigger.type !== "cron") continue;
      const { id, cron, timezone, catchUp } = trigger;
      entries.push({ workflow: row.id, trigger: id, cron, timezone, catchUp, at: Number.POSITIVE_INFINITY, isLive: true });
    }
    this.#armed.set(row.id, { revision: row.revision, updatedAt: row.updated_at, entries });
    for (const entry of entries) {
      const times = waiting.filter((run) => run.trigger === entry.trigger).map((run) => run.scheduled_at);
      await this.#armEntry(entry, { waiting: times, from: Math.max(row.updated_at, this.#since), toleranceMs });
    }
    const now = this.#deps.context.clock.now();
    const planned = new Set(entries.map((entry) => `${entry.trigger} ${entry.at}`));
    const ids = new Set(entries.map((entry) => entry.trigger));
    const isStale = (run: RowOf<"due_runs">) => (run.scheduled_at > now ? !planned.has(`${run.trigger} ${run.scheduled_at}`) : !ids.has(run.trigger));
    if (waiting.some(isStale)) await this.#forgetWaiting(row.id, (run) => !isStale(run));
  }

  /** `waiting`: stored times that nobody started, oldest first; `from`: when the trigger came to be. */
  async #armEntry(entry: CronEntry, at: { waiting: readonly number[]; from: number; toleranceMs: number }): Promise<void> {
    const { context, caller } = this.#deps;
    const now = context.clock.now();
    const known = at.waiting.filter((time) => time <= now);
    const ahead = at.waiting.some((time) => time > now && nextCronTime(entry, time - 1) === time);
    // With a time stored ahead all before it were looked at, but for those that are stored as due.
    const after = ahead ? now : (known.at(-1) ?? Math.max(at.from, await this.#newestOf(entry)));
    const line = now - at.toleranceMs;
    const late = [...known.filter((time) => time >= line), ...timesIn(entry, Math.max(after, line - 1), now)];
    const missedUntil = Math.min(line - 1, now);
    if (known.some((time) => time < line) || (nextCronTime(entry, after) ?? now) <= missedUntil) {
      const plan = planCatchUp(entry, { after, until: missedUntil, known, hasNewer: late.length > 0 });
      await recordCatchUp(context, caller, entry, plan);
      for (const time of plan.start) this.#fire({ ...entry, scheduledAt: time });
    }
    for (const time of late) this.#fire({ ...entry, scheduledAt: time });
    this.#schedule(entry, now);
  }

  async #newestOf({ workflow, trigger }: CronEntry): Promise<number> {
    const states = ["started", "skipped", "missed"] as const;
    const [newest] = await this.#deps.context.store.listDueRuns({ workflow, trigger, states, order: "desc", limit: 1 });
    return newest?.scheduled_at ?? 0;
  }

  /** Puts the entry's first time after a moment into the heap and into the store. */
  #schedule(entry: CronEntry, after: number): void {
    const next = nextCronTime(entry, after);
    if (next === null || !entry.isLive) return;
    entry.at = next;
    this.#heap.push(entry);
    if (this.#unstored.push(entry) === 1) this.#enqueue(() => this.#storeNext());
    this.#setTimer();
  }

  async #storeNext(): Promise<void> {
    const { store, ledger } = this.#deps.context;
    const entries = this.#unstored.filter((entry) => entry.isLive);
    this.#unstored = [];
    const fresh: CronRun[] = [];
    for (const { workflow, trigger, at } of entries) {
      const run = { workflow, trigger, scheduledAt: at };
      if ((await store.findDueRun(run)) === null) fresh.push(run);
    }
    const insert = (runs: readonly CronRun[]) => ledger.commit({ events: [], sideChanges: runs.map((run) => runChange(run, null, dueState)) });
    for (let from = 0; from < fresh.length; from += turnEntriesMax) {
      const batch = fresh.slice(from, from + turnEntriesMax);
      try {
        await insert(batch);
      } catch (cause) {
        // Another server stored one of them at the same moment.
        if (!wasTaken(cause)) throw cause;
        await Promise.allSettled(batch.map((run) => insert([run])));
      }
    }
  }

  #setTimer(): void {
    const { timers, clock } = this.#deps.context;
    const first = this.#heap.first();
    if (this.#isStopping || first === null) return;
    const at = Math.min(first.at, clock.now() + wakeMs);
    if (this.#timer !== null && this.#timerAt <= at) return;
    if (this.#timer !== null) timers.clear(this.#timer);
    this.#timerAt = at;
    this.#timer = timers.set(at, () => {
      this.#timer = null;
      this.#wake();
    });
  }

  #wake(): void {
    const { clock, timers } = this.#deps.context;
    const now = clock.now();
    for (let count = 0; !this.#isStopping; count += 1) {
      const entry = this.#heap.first();
      if (entry === null || entry.at > now) break;
      if (count === turnEntriesMax) return timers.soon(() => this.#wake());
      this.#heap.pop();
      this.#comeDue(entry, now);
    }
    this.#setTimer();
  }

  #comeDue(entry: CronEntry, now: number): void {
    const { workflow, trigger, at } = entry;
    if (now - at <= graceMs) {
      this.#fire({ workflow, trigger, scheduledAt: at });
      return this.#schedule(entry, at);
    }
    this.#enqueue(async () => {
      if (!entry.isLive) return;
      const rows = await this.#deps.context.store.listDueRuns({ workflow, trigger, states: ["due"], order: "asc", limit: limits.catchUpRunsMax });
      await this.#armEntry(entry, { waiting: rows.map((row) => row.scheduled_at), from: at - 1, toleranceMs: graceMs });
    });
  }

  #fire({ workflow, trigger, scheduledAt }: CronRun, tries = 0): void {
    this.#starts.push({ workflow, trigger, scheduledAt, tries });
    this.#startNext();
  }

  #startNext(): void {
    while (this.#active < startsMax && !this.#isStopping) {
      const start = this.#starts.shift();
      if (start === undefined) return;
      if (this.#active === 0) this.#idle = Promise.withResolvers<void>();
      this.#active += 1;
      void this.#startOne(start).finally(() => {
        this.#active -= 1;
        if (this.#active === 0) this.#idle.resolve();
        this.#startNext();
      });
    }
  }

  async #startOne(start: Start): Promise<void> {
    const { context, caller } = this.#deps;
    try {
      const outcome = await startRun(context, caller, start, { from: ["due"] });
      if (outcome.kind === "skipped")
        this.#deps.onTrouble(`Trigger "${start.trigger}" of "${start.workflow}" could not start: ${outcome.error.message}`);
    } catch (cause) {
      // It stays due. A store that is busy is asked again; a server that stops leaves it to who comes next.
      if (!isCoded(cause, "NOT_READY") && start.tries < triesMax && !this.#isStopping)
        context.timers.set(context.clock.now() + retryMs, () => this.#fire(start, start.tries + 1));
      else this.#tell(`Cannot fire trigger "${start.trigger}" of "${start.workflow}"`, cause);
    }
  }
}

const workflowEvents: readonly string[] = ["trace.workflow.applied", "trace.workflow.enabled", "trace.workflow.disabled", "trace.workflow.deleted"];

function timesIn(entry: CronEntry, after: number, until: number): number[] {
  const times: number[] = [];
  for (let at = nextCronTime(entry, after); at !== null && at <= until; at = nextCronTime(entry, at)) times.push(at);
  return times;
}
