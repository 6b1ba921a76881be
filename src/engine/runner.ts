// Drives one execution: takes what happened, decides, commits, and only then acts. One commit is under way at a time;
// what arrives meanwhile is decided together in the next one.
import { isCoded, toErrorBody } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type { Claim, ClaimFence, LogLine, RowChange, Store, TraceSubject } from "../storage/index.ts";
import type { Ledger, LedgerCommit } from "../trace/index.ts";
import { AttemptRun } from "./attempt.ts";
import type { DecideContext, Decision, TaskStart } from "./decision.ts";
import { decideNext, isOverdue } from "./decide.ts";
import { fold } from "./fold.ts";
import { isEnded, type Machine, nextWake, type Stop } from "./machine.ts";
import type { TaskInvoker, Timers } from "./ports.ts";
import type { Places } from "./places.ts";
import { decideResult } from "./results.ts";

export type RunnerDeps = {
  store: Store;
  ledger: Ledger;
  timers: Timers;
  invoker: TaskInvoker;
  places: Places;
  context: () => DecideContext;
  keepWorkspace: (executionId: string) => boolean;
  onGone: (runner: Runner) => void;
};

/** Events are decided in portions, so that a long cascade does not hold the event loop or the transaction. */
const portion = 200;

/** What the first commit of a new execution carries beside its events. */
export type Opening = {
  events: readonly EventDraft[];
  opens: ReadonlyMap<string, TraceSubject>;
  sideChanges: readonly RowChange[];
  blobs?: LedgerCommit["blobs"];
  acquire: { resource: string; owner: string; expiresAt: number; now: number };
};

export class Runner {
  readonly machine: Machine;
  readonly #deps: RunnerDeps;
  readonly #attempts = new Map<string, AttemptRun>();
  readonly #inbox: (() => Decision)[] = [];
  readonly #commands: string[] = [];
  readonly #logs: LogLine[] = [];
  #fence: ClaimFence | null = null;
  #opening: Opening | null = null;
  #isBusy = false;
  #isGone = false;
  #timer: unknown = null;
  #timerAt: number | null = null;
  readonly #ended = Promise.withResolvers<void>();

  constructor(deps: RunnerDeps, machine: Machine) {
    this.#deps = deps;
    this.machine = machine;
    // A runner that is given up rejects `ended`; whoever waits is told, nobody has to.
    this.#ended.promise.catch(() => undefined);
  }

  get id(): string {
    return this.machine.header.executionId;
  }

  get fence(): ClaimFence | null {
    return this.#fence;
  }

  /** Processes of this execution that run now. */
  get attempts(): number {
    return this.#attempts.size;
  }

  /** Resolves when the end is durable. Rejects with CLAIM_LOST or STORE_UNAVAILABLE when this process gave the execution up. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** First commit of a new execution: what opens it and whatever can be decided at once. Resolves when durable. */
  async open(opening: Opening): Promise<void> {
    for (const event of opening.events) fold(this.machine, event);
    this.#opening = opening;
    await this.#step();
    if (this.#isGone && !isEnded(this.machine)) await this.#ended.promise;
  }

  /** Takes over an execution that was folded from the store. */
  adopt(claim: Claim, first: readonly (() => Decision)[]): void {
    this.#fence = claim;
    this.#inbox.push(...first);
    this.poke();
  }

  /** Something may have become possible: a slot, a place, a due time. */
  poke(): void {
    void this.#step();
  }

  /** Stops everything of the current phase; a person's command is answered with the events that follow. */
  requestStop(stop: Omit<Stop, "active">, commandId: string | null): void {
    if (commandId !== null) this.#commands.push(commandId);
    if (isEnded(this.machine)) return void this.#forgetCommands();
    this.machine.stop = this.machine.stop === null ? { ...stop, active: true } : { ...this.machine.stop, active: true };
    for (const attempt of this.#attempts.values()) attempt.terminate();
    this.poke();
  }

  /** Kills every process at once: the second Ctrl-C. */
  killAll(): void {
    for (const attempt of this.#attempts.values()) attempt.kill();
  }

  /** Gives the execution up without deciding anything more: its processes are killed, others may take it over. */
  async abandon(cause: unknown): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#clearTimer();
    const attempts = [...this.#attempts.values()];
    for (const attempt of attempts) attempt.kill();
    await Promise.all(attempts.map((attempt) => attempt.over));
    this.#deps.places.leave(this.id);
    this.#deps.onGone(this);
    this.#ended.reject(cause);
  }

  async #step(): Promise<void> {
    if (this.#isBusy || this.#isGone) return;
    this.#isBusy = true;
    try {
      while (await this.#commitPortion());
    } catch (cause) {
      await this.abandon(cause);
    } finally {
      this.#isBusy = false;
    }
    if (!this.#isGone) this.#setTimer();
  }

  /** Decides and commits one portion; false when there was nothing to do. */
  async #commitPortion(): Promise<boolean> {
    if (this.#isGone) return false;
    const opening = this.#opening;
    const decided = this.#decide();
    if (decided.events.length === 0 && opening === null && this.#logs.length === 0) return false;
    const wish: LedgerCommit = { events: [...(opening?.events ?? []), ...decided.events], logs: [...this.#logs.splice(0), ...decided.logs], sideChanges: this.#sideChanges(opening) };
    const before = this.machine.sequence - wish.events.length;
    wish.expected = new Map([[this.id, before]]);
    if (opening !== null) Object.assign(wish, { opens: opening.opens, acquire: opening.acquire, blobs: opening.blobs ?? [] });
    if (this.#fence !== null) wish.fence = this.#fence;
    if (isEnded(this.machine) && this.#fence !== null) wish.release = this.#fence;
    this.#opening = null;
    const receipt = await this.#deps.ledger.commit(wish);
    if (receipt.claim !== null) this.#fence = receipt.claim;
    this.#act(decided.starts);
    if (isEnded(this.machine)) await this.#finish(opening !== null);
    // Who only waits needs no place: a thousand timers do not keep the next execution out.
    else if (this.machine.state === "WAITING") this.#deps.places.leave(this.id);
    return !this.#isGone;
  }

  #decide(): Decision {
    const all: Decision = { events: [], starts: [], logs: [] };
    const take = (decision: Decision): boolean => {
      for (const event of decision.events) fold(this.machine, event);
      all.events.push(...decision.events);
      all.logs.push(...decision.logs);
      for (const start of decision.starts) this.#deps.places.takeSlot();
      all.starts.push(...decision.starts);
      return decision.events.length > 0;
    };
    for (const work of this.#inbox.splice(0)) take(work());
    while (all.events.length < portion && this.#mayGoOn()) if (!take(decideNext(this.machine, this.#context()))) break;
    return all;
  }

  #context(): DecideContext {
    const context = this.#deps.context();
    return { ...context, slots: this.#deps.places.slotsFor(this.id) };
  }

  #mayGoOn(): boolean {
    const { machine } = this;
    if (isOverdue(machine, this.#deps.context().clock.now())) this.#overrun();
    return machine.state !== "PENDING" || machine.stop !== null || this.#deps.places.enter(this.id);
  }

  #overrun(): void {
    this.machine.stop = { reason: "TIMEOUT", by: null, active: true };
    for (const attempt of this.#attempts.values()) attempt.terminate();
  }

  #sideChanges(opening: Opening | null): RowChange[] {
    const changes = [...(opening?.sideChanges ?? [])];
    const isAnswered = isEnded(this.machine) || this.machine.stop?.active !== true;
    if (isAnswered) for (const id of this.#commands.splice(0)) changes.push({ table: "commands", op: "delete", key: { command_id: id } });
    return changes;
  }

  #forgetCommands(): Promise<unknown> {
    return this.#deps.ledger.commit({ events: [], sideChanges: this.#sideChanges(null) }).catch(() => undefined);
  }

  #act(starts: readonly TaskStart[]): void {
    for (const start of starts) {
      const run = this.machine.runs.get(start.task);
      if (run === undefined) continue;
      const attempt = new AttemptRun(this.#deps, this.machine, start, {
        onLogs: (lines) => this.#takeLogs(lines),
        onEnd: (result, end, lines) => {
          this.#attempts.delete(start.task);
          this.#logs.push(...lines);
          this.#inbox.push(() => decideResult(this.machine, this.#deps.context(), { run, attempt: start.attempt, result, end }));
          // Give the slot back first, so that what this result makes ready may use it in the same commit.
          this.#deps.places.giveSlot();
          this.poke();
        },
      });
      this.#attempts.set(start.task, attempt);
      attempt.start(this.machine.stop?.active === true);
    }
  }

  #takeLogs(lines: LogLine[]): void {
    if (this.#isGone) return;
    void this.#deps.ledger.commit({ events: [], logs: lines }).catch((cause: unknown) => this.abandon(cause));
  }

  async #finish(needsRelease: boolean): Promise<void> {
    this.#isGone = true;
    this.#clearTimer();
    if (needsRelease && this.#fence !== null) await this.#deps.store.releaseClaims([this.#fence]);
    if (!this.#deps.keepWorkspace(this.id)) await this.#deps.invoker.dispose(this.id);
    this.#deps.places.leave(this.id);
    this.#deps.onGone(this);
    this.#ended.resolve();
  }

  #setTimer(): void {
    const at = nextWake(this.machine);
    if (at === this.#timerAt) return;
    this.#clearTimer();
    if (at === null) return;
    this.#timerAt = at;
    this.#timer = this.#deps.timers.set(at, () => {
      this.#timerAt = null;
      this.poke();
    });
  }

  #clearTimer(): void {
    if (this.#timerAt !== null) this.#deps.timers.clear(this.#timer);
    this.#timerAt = null;
  }
}

/** Text of a runner's end for logs of the server. */
export function describeAbandon(cause: unknown): string {
  return isCoded(cause) ? `${cause.code}: ${cause.message}` : toErrorBody(cause).message;
}
