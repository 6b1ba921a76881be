// Drives one execution: takes what happened, decides, commits, and only then acts. One commit is under way at a time;
// what arrives meanwhile is decided together in the next one.
import { assert, isCoded, type JsonObject, toErrorBody } from "../base/index.ts";
import type { EventDraft, ExecutionState } from "../model/index.ts";
import type { Vault } from "../secrets/index.ts";
import type { ClaimFence, LogLine, RowChange, Store, TraceSubject } from "../storage/index.ts";
import type { Ledger, LedgerCommit } from "../trace/index.ts";
import { AttemptRun } from "./attempt.ts";
import { CommandBox } from "./command-box.ts";
import { type ChildAsk, type ChildEnd, decideChild } from "./children.ts";
import { type Command, decideCommand } from "./commands.ts";
import type { Decision, EngineContext, TaskStart } from "./decision.ts";
import { decideNext, isOverdue, waitingReason } from "./decide.ts";
import { decideDenied } from "./denials.ts";
import { fold } from "./fold.ts";
import { findRun, hasReady, isEnded, type Machine, nameOf, nextWake, type Stop, stopMachine, type TaskRunMachine } from "./machine.ts";
import { Preparations } from "./preparations.ts";
import type { TaskInvoker, Timers } from "./ports.ts";
import type { Places } from "./places.ts";
import { decideResult } from "./results.ts";
import { commitSealed, type SealedDraft } from "./sealing.ts";

export type RunnerDeps = {
  store: Store;
  ledger: Ledger;
  timers: Timers;
  invoker: TaskInvoker;
  vault: Vault;
  /** Starts a child unless it was started before, and resolves with its end; never rejects. */
  runChild: (ask: ChildAsk) => Promise<ChildEnd>;
  cancelChild: (childId: string) => void;
  places: Places;
  context: () => EngineContext;
  onTrouble: (text: string) => void;
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
  sealed: readonly SealedDraft[];
  acquire: NonNullable<LedgerCommit["acquire"]>;
};

export class Runner {
  readonly machine: Machine;
  readonly #deps: RunnerDeps;
  readonly #attempts = new Map<string, AttemptRun>();
  readonly #inbox: (() => Decision)[] = [];
  readonly #commands = new CommandBox();
  readonly #preparations: Preparations;
  /** Children that are looked after, by the name of their run. */
  readonly #children = new Map<string, string>();
  readonly #logs: LogLine[] = [];
  readonly #opened = Promise.withResolvers<ExecutionState>();
  readonly #ended = Promise.withResolvers<void>();
  #fence: ClaimFence | null;
  #opening: Opening | null = null;
  #inFlight: Promise<unknown> | null = null;
  #leaving: Promise<void> | null = null;
  #isBusy = false;
  #isPoked = false;
  #isGone = false;
  #isGivenUp = false;
  #timer: unknown = null;
  #timerAt: number | null = null;
  #decidedAt = 0;

  /** `fence`: the claim on an execution that is taken over; a new one gets its claim with its first commit. */
  constructor(deps: RunnerDeps, machine: Machine, fence: ClaimFence | null) {
    this.#deps = deps;
    this.machine = machine;
    this.#fence = fence;
    this.#preparations = new Preparations(deps, () => this.poke());
    // A runner that is given up rejects these; whoever waits is told, nobody has to.
    this.#ended.promise.catch(() => undefined);
    this.#opened.promise.catch(() => undefined);
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

  /** Whether a process of it runs, or something that happened is not durable yet. */
  get isBusy(): boolean {
    return this.attempts > 0 || this.#isBusy || this.#inbox.length > 0;
  }

  /** Resolves when the end is durable. Rejects with CLAIM_LOST or STORE_UNAVAILABLE when this process gave the execution up. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** First commit of a new execution: what opens it and whatever can be decided at once. Resolves with the state that is durable then. */
  open(opening: Opening): Promise<ExecutionState> {
    for (const event of opening.events) fold(this.machine, event);
    this.#opening = opening;
    this.poke();
    return this.#opened.promise;
  }

  /** Takes over an execution that was folded from the store; `first` is decided before anything else. */
  adopt(first: readonly (() => Decision)[]): void {
    this.#inbox.push(...first);
    this.#actOnChildren();
    this.poke();
  }

  /** Something may have become possible: a slot, a place, a due time. */
  poke(): void {
    void this.#step();
  }

  /** Carries a person's command out, once. It is answered when this resolves, or left to who comes next. */
  request({ id, command, by }: { id: string; command: Command; by: string }): Promise<void> {
    const known = this.#commands.find(id);
    if (known !== null || this.#isGivenUp) return known ?? Promise.resolve();
    const answered = this.#commands.add(id);
    if (command.kind !== "cancel") this.#inbox.push(() => decideCommand(this.machine, this.#deps.context(), { command, by }));
    else if (!isEnded(this.machine)) this.#stop({ reason: "USER_CANCELLED", by });
    this.poke();
    return answered;
  }

  /** Kills every process at once: the second Ctrl-C. */
  killAll(): void {
    for (const attempt of this.#attempts.values()) attempt.kill();
  }

  /** Gives the execution up without deciding anything more: its processes are killed, others may take it over. */
  abandon(cause: unknown): Promise<void> {
    return (this.#leaving ??= this.#giveUp(cause));
  }

  async #giveUp(cause: unknown): Promise<void> {
    this.#isGone = true;
    this.#isGivenUp = true;
    this.#clearTimer();
    const attempts = [...this.#attempts.values()];
    for (const attempt of attempts) attempt.kill();
    await Promise.all(attempts.map((attempt) => attempt.over));
    // What is on its way to the store may still arrive there; with it the claim to give back.
    await this.#inFlight?.catch(() => undefined);
    this.#leave();
    this.#opened.reject(cause);
    this.#ended.reject(cause);
  }

  async #step(): Promise<void> {
    this.#isPoked = true;
    if (this.#isBusy || this.#isGone) return;
    this.#isBusy = true;
    try {
      // Pokes that come while a commit is under way, even at its very end, are looked at before the runner rests.
      while (this.#isPoked && !this.#isGone) {
        this.#isPoked = false;
        if (await this.#commitPortion()) this.#isPoked = true;
      }
    } catch (cause) {
      await this.abandon(cause);
    }
    this.#isBusy = false;
    if (!this.#isGone) this.#setTimer();
  }

  /** Decides and commits one portion; false when there was nothing to do. */
  async #commitPortion(): Promise<boolean> {
    const opening = this.#opening;
    const decided = this.#decide();
    const answers = this.#takeAnswers();
    if (decided.events.length === 0 && opening === null && this.#logs.length === 0 && answers.length === 0) return false;
    this.#opening = null;
    const state = this.machine.state;
    const drafts = [...(opening?.sealed ?? []), ...decided.sealed, ...this.#newMasks()];
    const commit = commitSealed(this.#deps, this.#wish(opening, decided, answers), { executionId: this.id, drafts });
    this.#inFlight = commit;
    const receipt = await commit;
    this.#inFlight = null;
    if (receipt.claim !== null) this.#fence = receipt.claim;
    this.#commands.settle(answers);
    this.#opened.resolve(state);
    // Given up meanwhile: what was to start is found lost by whoever takes over.
    if (this.#isGone) return false;
    this.#act(decided.starts);
    this.#actOnChildren();
    if (isEnded(this.machine)) await (this.#leaving ??= this.#finish());
    // Who only waits needs no place: a thousand timers do not keep the next execution out.
    else if (this.machine.state === "WAITING" && this.attempts === 0) this.#deps.places.leave(this.id);
    return true;
  }

  /** With the values that are masked from now on, for who takes the execution over. */
  #newMasks(): SealedDraft[] {
    const texts = this.machine.masks.takeUnsealed();
    return texts === null ? [] : [{ task: null, itemIndex: null, member: "masks", value: texts }];
  }

  #wish(opening: Opening | null, decided: Decision, answers: readonly string[]): LedgerCommit {
    const events = [...(opening?.events ?? []), ...decided.events];
    const sideChanges = [...(opening?.sideChanges ?? []), ...answers.map(removeCommand)];
    const wish: LedgerCommit = { events, logs: [...this.#logs.splice(0), ...decided.logs], sideChanges };
    wish.expected = new Map([[this.id, this.machine.sequence - events.length]]);
    if (opening !== null) Object.assign(wish, { opens: opening.opens, blobs: opening.blobs ?? [] });
    if (opening !== null && !isEnded(this.machine)) wish.acquire = opening.acquire;
    if (this.#fence !== null) wish.fence = this.#fence;
    if (isEnded(this.machine) && this.#fence !== null) wish.release = this.#fence;
    if (decided.files !== undefined && decided.files.length > 0) wish.blobFiles = decided.files;
    return wish;
  }

  #decide(): Required<Decision> {
    const { places } = this.#deps;
    const all: Required<Decision> = { events: [], starts: [], logs: [], files: [], sealed: [] };
    const take = (decision: Decision): boolean => {
      for (const event of decision.events) {
        fold(this.machine, event, decision.sealed);
        if (event.type === "trace.task.started" || event.type === "trace.task.failed") this.#preparations.release(runNameOf(event.payload));
      }
      all.events.push(...decision.events);
      all.sealed.push(...(decision.sealed ?? []));
      all.logs.push(...decision.logs);
      all.files.push(...(decision.files ?? []));
      for (let count = decision.starts.length; count > 0; count -= 1) places.takeSlot(this.id);
      all.starts.push(...decision.starts);
      return decision.events.length > 0;
    };
    this.#decidedAt = this.#now();
    for (const work of this.#inbox.splice(0)) take(work());
    let lacksSlot = false;
    while (all.events.length < portion && this.#mayGoOn()) {
      const context = { ...this.#deps.context(), slots: places.slotsFor(this.id), preparation: this.#preparations };
      if (take(decideNext(this.machine, context))) continue;
      lacksSlot = context.slots === 0 && hasReady(this.machine, this.#decidedAt);
      break;
    }
    places.settle(this.id, lacksSlot);
    return all;
  }

  /** Whether deciding is of use and allowed: to go on takes a place, to end or to be stopped does not. */
  #mayGoOn(): boolean {
    const { machine } = this;
    if (isOverdue(machine, this.#decidedAt)) this.#stop({ reason: "TIMEOUT", by: null });
    if (machine.stop?.active === true || machine.phase === "end" || (machine.state === "PENDING" && machine.stop !== null)) return true;
    // To say that it waits for something else now takes no place.
    if (machine.state === "WAITING" && !hasReady(machine, this.#decidedAt))
      return machine.pausedAt === null && waitingReason(machine) !== machine.reason;
    return this.#deps.places.enter(this.id, machine.state !== "PENDING");
  }

  #stop(stop: Pick<Stop, "reason" | "by">): void {
    stopMachine(this.machine, stop);
    if (this.machine.stop?.active === true) for (const attempt of this.#attempts.values()) attempt.terminate();
  }

  /** Commands that what was just decided answers: their rows go with these events. */
  #takeAnswers(): string[] {
    return isEnded(this.machine) || this.machine.stop?.active !== true ? this.#commands.take() : [];
  }

  #act(starts: readonly TaskStart[]): void {
    for (const start of starts) {
      const name = nameOf(start.task, start.itemIndex);
      const run = findRun(this.machine, name);
      assert(run !== null, `${name} is a run of the machine`);
      const attempt = this.#attemptOf(start, run);
      this.#attempts.set(name, attempt);
      attempt.start(this.machine.stop?.active === true);
    }
  }

  /** Starts and waits for new children; cancels those whose run waits for them no more. */
  #actOnChildren(): void {
    const { children } = this.machine;
    if (children.size === 0 && this.#children.size === 0) return;
    for (const [name, childId] of this.#children) {
      if (children.get(name) === childId) continue;
      this.#children.delete(name);
      this.#deps.cancelChild(childId);
    }
    for (const [name, childId] of children) {
      const run = findRun(this.machine, name);
      if (this.#children.has(name) || run?.child == null) continue;
      this.#children.set(name, childId);
      void this.#deps.runChild({ parent: this.machine, task: name, child: run.child }).then((end) => {
        if (this.#children.get(name) === childId) this.#children.delete(name);
        this.#inbox.push(() => decideChild(this.machine, this.#deps.context(), { name, childId, end }));
        this.poke();
      });
    }
  }

  #attemptOf(start: TaskStart, run: TaskRunMachine): AttemptRun {
    const { machine } = this;
    const { attempt } = start;
    return new AttemptRun(this.#deps, machine, start, {
      onLogs: (lines) => this.#takeLogs(lines),
      onDenial: (denial) => {
        this.#inbox.push(() => decideDenied(machine, this.#deps.context(), { run, attempt, denial }));
        this.poke();
      },
      onEnd: (result, end, lines) => {
        this.#attempts.delete(nameOf(start.task, start.itemIndex));
        this.#logs.push(...lines);
        this.#inbox.push(() => decideResult(machine, this.#deps.context(), { run, attempt, result, end }));
        // Give the slot back first, so that what this result makes ready may use it in the same commit.
        this.#deps.places.giveSlot(this.id);
        this.poke();
      },
    });
  }

  #takeLogs(lines: LogLine[]): Promise<void> {
    if (this.#isGone || this.#fence === null) return Promise.resolve();
    const stored = this.#deps.ledger.commit({ events: [], logs: lines, fence: this.#fence });
    return stored.then(
      () => undefined,
      (cause: unknown) => void this.abandon(cause),
    );
  }

  /** The end is durable: whatever fails from here on changes nothing about it. */
  async #finish(): Promise<void> {
    this.#isGone = true;
    this.#clearTimer();
    try {
      await this.#deps.invoker.dispose(this.id);
      await this.#answerLate();
    } catch (cause) {
      this.#deps.onTrouble(`Cannot clean up after execution "${this.id}": ${describeAbandon(cause)}`);
    }
    this.#leave();
    this.#ended.resolve();
  }

  /** Commands that came while the end was on its way find nothing left to stop. */
  async #answerLate(): Promise<void> {
    for (let late = this.#commands.take(); late.length > 0; late = this.#commands.take())
      await this.#deps.ledger.commit({ events: [], sideChanges: late.map(removeCommand) });
  }

  #leave(): void {
    this.#deps.places.leave(this.id);
    this.#commands.settleAll();
    this.#deps.onGone(this);
  }

  /** What was due at the last decision and was not done waits for a slot or a place, which will wake it. */
  #setTimer(): void {
    const at = nextWake(this.machine, this.#decidedAt);
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

  #now(): number {
    return this.#deps.context().clock.now();
  }
}

function runNameOf(payload: JsonObject): string {
  const index = payload["item_index"];
  return nameOf(String(payload["task"]), typeof index === "number" ? index : null);
}

function removeCommand(id: string): RowChange {
  return { table: "commands", op: "delete", key: { command_id: id } };
}

/** Text of a runner's end for logs of the server. */
export function describeAbandon(cause: unknown): string {
  return isCoded(cause) ? `${cause.code}: ${cause.message}` : toErrorBody(cause).message;
}
