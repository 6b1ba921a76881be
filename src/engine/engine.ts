// Starts, takes over and stops executions. Each is driven by a runner; the engine owns claims, places and what reaches it
// from other processes.
import { type Clock, fail, type Ids, isCoded, type JsonObject, limits } from "../base/index.ts";
import { actorOf, type Caller, type ExecutionState, principalText } from "../model/index.ts";
import type { RowChange, RowOf, Store } from "../storage/index.ts";
import { draftEvent, type Ledger } from "../trace/index.ts";
import type { DecideContext } from "./decision.ts";
import { decideRecovery } from "./decide.ts";
import { type ExecutionHeader, isEnded, type Machine, newMachine, type TriggerPayload } from "./machine.ts";
import { Places } from "./places.ts";
import { Plans } from "./plans.ts";
import type { OwnerWatch, TaskInvoker, Timers } from "./ports.ts";
import { restoreMachine } from "./restore.ts";
import { describeAbandon, Runner } from "./runner.ts";

export type EngineDeps = {
  store: Store;
  ledger: Ledger;
  clock: Clock;
  ids: Ids;
  random: () => number;
  timers: Timers;
  invoker: TaskInvoker;
  owners: OwnerWatch;
  /** Names this process in claims. */
  owner: string;
  limits: { executions: number; tasks: number };
  keepWorkspace: (executionId: string) => boolean;
  isIdempotent: (action: string) => boolean;
  /** False where AUTOKESTRA_DISABLE_RUNTIME is set: executions are accepted, none is run. */
  runs: boolean;
  onTrouble: (text: string) => void;
};

export type SubmitRequest = {
  workflow: string;
  revision: number;
  inputs: JsonObject;
  trigger: TriggerPayload;
  labels: Record<string, string>;
  executionId: string;
  timeoutMs: number | null;
  caller: Caller;
  sideChanges: readonly RowChange[];
};

const leaseMs = 15_000;
const tickMs = 500;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #plans: Plans;
  readonly #places: Places;
  readonly #runners = new Map<string, Runner>();
  readonly #taking = new Set<string>();
  #timer: unknown = null;
  #lastExtend = 0;
  #token: number | null = null;
  #isStopping = false;
  #takesAll = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#plans = new Plans(deps.store);
    this.#places = new Places(deps.limits, (id) => this.#runners.get(id)?.poke());
  }

  get plans(): Plans {
    return this.#plans;
  }

  /** Executions that this process drives now. */
  get live(): number {
    return this.#runners.size;
  }

  runner(executionId: string): Runner | null {
    return this.#runners.get(executionId) ?? null;
  }

  /** Takes over what no living process owns, now and from now on, and keeps claims alive. Resolves when recovery is done. */
  async start(options: { takesAll: boolean }): Promise<void> {
    this.#takesAll = options.takesAll && this.#deps.runs;
    this.#token = await this.#deps.store.changeToken();
    this.#lastExtend = this.#deps.clock.now();
    if (this.#takesAll) await this.#takeOrphans();
    this.#tick();
  }

  /**
   * Accepts an execution: its first event, and whatever of it can begin at once, are durable when this resolves.
   * @throws QUEUE_FULL, ALREADY_EXISTS, NOT_READY, WORKFLOW_NOT_FOUND
   */
  async submit(request: SubmitRequest): Promise<{ executionId: string; state: ExecutionState }> {
    if (this.#isStopping) throw fail("NOT_READY", "Cannot start an execution: the server is stopping");
    if (this.#places.queued >= limits.queueMax)
      throw fail("QUEUE_FULL", `Cannot start an execution: ${limits.queueMax} wait already`, { hint: "Try again when some have ended." });
    const { plan, row } = await this.#plans.load(request.workflow, request.revision);
    const header = this.#headerOf(request, row, plan.definition.timeoutMs);
    const machine = newMachine(header, plan);
    const opens = new Map([[header.executionId, { subject: "execution" as const, subjectId: header.executionId }]]);
    const created = this.#createdEvent(machine, request);
    if (!this.#deps.runs) {
      await this.#deps.ledger.commit({ events: [created], opens, sideChanges: request.sideChanges, expected: new Map([[header.executionId, 0]]) }).catch(this.#taken);
      return { executionId: header.executionId, state: "PENDING" };
    }
    const runner = this.#newRunner(machine);
    this.#runners.set(header.executionId, runner);
    await runner.open({ events: [created], opens, sideChanges: request.sideChanges, acquire: this.#claimWish(header.executionId) }).catch(this.#taken);
    return { executionId: header.executionId, state: machine.state };
  }

  /** An execution id that was used before loses the race for sequence 0, or its claim. */
  readonly #taken = (cause: unknown): never => {
    if (isCoded(cause, "CLAIM_LOST")) throw fail("ALREADY_EXISTS", "Cannot start the execution: its id is taken", { cause });
    throw cause;
  };

  #headerOf(request: SubmitRequest, row: RowOf<"revisions">, workflowTimeout: number | null): ExecutionHeader {
    return {
      executionId: request.executionId,
      workflow: request.workflow,
      revision: request.revision,
      sha256: row.sha256,
      inputs: request.inputs,
      trigger: request.trigger,
      labels: request.labels,
      timeoutMs: request.timeoutMs ?? workflowTimeout,
      createdAt: this.#deps.clock.now(),
      sessionId: request.caller.sessionId,
      actor: actorOf(request.caller.principal),
      rootSpanId: this.#deps.ids.next(),
      parentSpanId: null,
      folder: row.folder,
    };
  }

  #createdEvent(machine: Machine, request: SubmitRequest) {
    const { header } = machine;
    const payload: JsonObject = {
      execution_id: header.executionId, workflow: header.workflow, revision: header.revision, sha256: header.sha256, trigger: header.trigger, inputs: header.inputs,
    };
    if (Object.keys(header.labels).length > 0) payload["labels"] = header.labels;
    if (request.timeoutMs !== null) payload["timeout_ms"] = request.timeoutMs;
    const place = { traceId: header.executionId, spanId: header.rootSpanId, parentSpanId: null, sessionId: header.sessionId, actor: header.actor };
    return draftEvent(this.#deps, place, { type: "trace.execution.created", payload, time: header.createdAt });
  }

  /**
   * Asks for cancellation. The wish is durable at once; the owner, here or in another process, carries it out.
   * @throws EXECUTION_NOT_FOUND, EXECUTION_STATE when it ended otherwise
   */
  async cancel(executionId: string, caller: Caller): Promise<{ already: boolean; state: ExecutionState }> {
    const row = await this.#deps.store.findExecution(executionId);
    if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot cancel execution "${executionId}": no such execution`);
    if (row.state === "CANCELLED") return { already: true, state: "CANCELLED" };
    if (row.ended_at !== null) throw fail("EXECUTION_STATE", `Cannot cancel execution "${executionId}": it ended with ${row.state}`);
    const by = principalText(caller.principal);
    const command = { command_id: this.#deps.ids.next(), execution_id: executionId, kind: "cancel", body: "{}", by, created_at: this.#deps.clock.now() };
    await this.#deps.ledger.commit({ events: [], sideChanges: [{ table: "commands", op: "insert", row: command }] });
    await this.#takeCommands(executionId);
    const runner = this.#runners.get(executionId);
    // Where nothing runs the end is only a commit away: answer with it.
    if (runner !== undefined && runner.attempts === 0) await runner.ended.catch(() => undefined);
    const after = await this.#deps.store.findExecution(executionId);
    return { already: false, state: after?.state ?? row.state };
  }

  async #takeCommands(executionId: string | null): Promise<void> {
    for (const command of await this.#deps.store.listCommands(executionId)) {
      const runner = this.#runners.get(command.execution_id) ?? (executionId === null ? null : await this.takeUp(command.execution_id));
      if (command.kind === "cancel") runner?.requestStop({ reason: "USER_CANCELLED", by: command.by }, command.command_id);
    }
  }

  /** Claims and drives an execution that no living process owns; null when another one does, or it has ended. */
  async takeUp(executionId: string): Promise<Runner | null> {
    const known = this.#runners.get(executionId);
    if (known !== undefined) return known;
    if (this.#isStopping || this.#taking.has(executionId) || !(await this.#isFree(executionId))) return null;
    this.#taking.add(executionId);
    try {
      const { claim } = await this.#deps.ledger.commit({ events: [], acquire: this.#claimWish(executionId) });
      const machine = await restoreMachine(this.#deps.store, this.#plans, executionId);
      if (claim === null || isEnded(machine)) {
        if (claim !== null) await this.#deps.store.releaseClaims([claim]);
        return null;
      }
      const runner = this.#newRunner(machine);
      this.#runners.set(executionId, runner);
      for (const command of await this.#deps.store.listCommands(executionId))
        if (command.kind === "cancel") runner.requestStop({ reason: "USER_CANCELLED", by: command.by }, command.command_id);
      const lost = [...machine.running].map(() => () => decideRecovery(machine, this.#context(), this.#deps.isIdempotent));
      runner.adopt(claim, lost);
      return runner;
    } catch (cause) {
      if (isCoded(cause, "CLAIM_LOST")) return null;
      this.#deps.onTrouble(`Cannot take up execution "${executionId}": ${describeAbandon(cause)}`);
      return null;
    } finally {
      this.#taking.delete(executionId);
    }
  }

  /** Stops taking work, lets attempts finish up to the bound, then kills them and gives all claims back. */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#timer !== null) this.#deps.timers.clear(this.#timer);
    const until = this.#deps.clock.now() + drainMs;
    while (this.#busy() > 0 && this.#deps.clock.now() < until) await this.#pause(Math.min(50, drainMs));
    const runners = [...this.#runners.values()];
    const fences = runners.map((runner) => runner.fence).filter((fence) => fence !== null);
    await Promise.all(runners.map((runner) => runner.abandon(fail("NOT_READY", "The process stopped before the execution ended"))));
    await this.#deps.ledger.settle();
    await this.#deps.store.releaseClaims(fences);
  }

  #busy(): number {
    let attempts = 0;
    for (const runner of this.#runners.values()) attempts += runner.attempts;
    return attempts;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.timers.set(this.#deps.clock.now() + ms, resolve));
  }

  #newRunner(machine: Machine): Runner {
    const { store, ledger, timers, invoker, keepWorkspace } = this.#deps;
    return new Runner(
      { store, ledger, timers, invoker, keepWorkspace, places: this.#places, context: () => this.#context(), onGone: (runner) => this.#forget(runner) },
      machine,
    );
  }

  #forget(runner: Runner): void {
    this.#runners.delete(runner.id);
    runner.ended.catch((cause: unknown) => {
      if (!this.#isStopping) this.#deps.onTrouble(`Execution "${runner.id}" was given up: ${describeAbandon(cause)}`);
    });
  }

  #context(): DecideContext {
    const { clock, ids, random, invoker } = this.#deps;
    return { clock, ids, random, slots: 0, sandbox: invoker.sandbox };
  }

  #claimWish(executionId: string) {
    const now = this.#deps.clock.now();
    return { resource: resourceOf(executionId), owner: this.#deps.owner, expiresAt: now + leaseMs, now };
  }

  /** Unclaimed, expired, or held by a process that is known to be dead (whose claim is then taken away). */
  async #isFree(executionId: string): Promise<boolean> {
    const [claim] = await this.#deps.store.findClaims([resourceOf(executionId)]);
    if (claim === undefined || claim.expiresAt <= this.#deps.clock.now() || claim.owner === this.#deps.owner) return true;
    if (!this.#deps.owners.isDead(claim.owner)) return false;
    await this.#deps.store.releaseClaims([claim]);
    return true;
  }

  async #takeOrphans(): Promise<void> {
    for (const row of await this.#deps.store.listUnfinished({ limit: limits.queueMax })) {
      if (this.#runners.has(row.execution_id)) continue;
      await this.takeUp(row.execution_id);
    }
  }

  /** Twice a second: what other processes wrote, and the leases. */
  #tick(): void {
    if (this.#isStopping) return;
    this.#timer = this.#deps.timers.set(this.#deps.clock.now() + tickMs, () => {
      void this.#attend()
        .catch((cause: unknown) => this.#deps.onTrouble(`Cannot look after claims: ${describeAbandon(cause)}`))
        .then(() => this.#tick());
    });
  }

  async #attend(): Promise<void> {
    await this.#extendLeases();
    const token = await this.#deps.store.changeToken();
    if (token === this.#token) return;
    this.#token = token;
    this.#deps.ledger.announceExternal();
    await this.#takeCommands(null);
    if (this.#takesAll) await this.#takeOrphans();
  }

  async #extendLeases(): Promise<void> {
    const now = this.#deps.clock.now();
    if (now - this.#lastExtend < leaseMs / 3) return;
    this.#lastExtend = now;
    const fences = [...this.#runners.values()].map((runner) => runner.fence).filter((fence) => fence !== null);
    const lost = new Set(await this.#deps.store.extendClaims(fences, now + leaseMs));
    for (const runner of this.#runners.values())
      if (lost.has(resourceOf(runner.id))) void runner.abandon(fail("CLAIM_LOST", `Cannot go on with execution "${runner.id}": another process owns it`));
    // A process that died without a word leaves its claims to expire: look for them now and then.
    if (this.#takesAll) await this.#takeOrphans();
  }
}

function resourceOf(executionId: string): string {
  return `execution:${executionId}`;
}
