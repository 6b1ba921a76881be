// Starts, takes over and stops executions. Each is driven by a runner; the engine owns claims, places and what reaches it
// from other processes.
import { type Clock, fail, type Ids, isCoded, type JsonObject, limits, toIJson } from "../base/index.ts";
import { actorOf, anyVariable, type Caller, type ExecutionState, principalText, type RunGrants, type WorkflowDefinition } from "../model/index.ts";
import { maskTexts, type Vault } from "../secrets/index.ts";
import type { ClaimFence, RowChange, RowOf, Store } from "../storage/index.ts";
import { draftEvent, type Ledger } from "../trace/index.ts";
import { sensitiveTexts } from "../workflow/index.ts";
import { grantedEnv } from "./actions.ts";
import type { EngineContext } from "./decision.ts";
import { decideRecovery } from "./decide.ts";
import { type ExecutionHeader, isEnded, type Machine, newMachine, type TriggerPayload } from "./machine.ts";
import { Places } from "./places.ts";
import { Plans } from "./plans.ts";
import { Masks, shownInputs } from "./masks.ts";
import type { OwnerWatch, TaskInvoker, Timers } from "./ports.ts";
import { secretsMissing } from "./preparations.ts";
import { commitSealed, type SealedDraft } from "./sealing.ts";
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
  vault: Vault;
  owners: OwnerWatch;
  /** Names this process in claims. */
  owner: string;
  limits: { executions: number; tasks: number };
  isIdempotent: (action: string) => boolean;
  /** Of the server: what of it a task may see is granted by `permissions.env`. */
  environment: Readonly<Record<string, string | undefined>>;
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
  /** Granted for this run beside the workflow's block (`run --allow-*`). */
  allow?: RunGrants | null;
  caller: Caller;
  sideChanges: readonly RowChange[];
  /** Kept sealed: a digest of what was asked for, where inputs could be guessed from it. */
  requestDigest?: string;
};

const leaseMs = 15_000;
const tickMs = 500;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #plans: Plans;
  readonly #places: Places;
  readonly #runners = new Map<string, Runner>();
  /** Executions that met a mistake of ours: to decide them again would end the same way, so they wait for the next start. */
  readonly #hopeless = new Set<string>();
  readonly #taking = new Map<string, Promise<Runner | null>>();
  #timer: unknown = null;
  #looking: Promise<void> | null = null;
  #lastExtend = 0;
  #lastLook = 0;
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
    this.#lastLook = this.#lastExtend;
    // Leases are looked after from the first takeover on: thousands of them take longer than one lasts.
    this.#tick();
    if (this.#takesAll) await this.#takeOrphans();
  }

  /**
   * Accepts an execution: its first event, and whatever of it can begin at once, are durable when this resolves.
   * @throws QUEUE_FULL, ALREADY_EXISTS, NOT_READY, WORKFLOW_NOT_FOUND, SECRETS_MISSING, SECRET_KEY_WRONG, SECRET_TAMPERED, FILE_MODE_UNSAFE
   */
  async submit(request: SubmitRequest): Promise<{ executionId: string; state: ExecutionState }> {
    const { executionId } = request;
    const { plan, row } = await this.#plans.load(request.workflow, request.revision);
    const masks = await this.#masksOf(plan.definition, request);
    // Forms of large values take their time: others have their turns meanwhile.
    await masks.masker.ready();
    if (this.#isStopping) throw fail("NOT_READY", "Cannot start an execution: the server is stopping");
    if (this.#places.queued >= limits.queueMax)
      throw fail("QUEUE_FULL", `Cannot start an execution: ${limits.queueMax} wait already`, { hint: "Try again when some have ended." });
    // The store refuses an id that was used before; one that runs here must keep its runner.
    if (this.#runners.has(executionId)) throw fail("ALREADY_EXISTS", `Cannot start the execution: its id "${executionId}" is taken`);
    const header = this.#headerOf(request, { row, definition: plan.definition, masks });
    const machine = { ...newMachine(header, plan), masks };
    const sealed = draftsOf(header, request);
    const opens = new Map([[executionId, { subject: "execution" as const, subjectId: executionId }]]);
    const created = this.#createdEvent(machine, request);
    const { sideChanges } = request;
    if (!this.#deps.runs) {
      const expected = new Map([[executionId, 0]]);
      const texts = masks.takeUnsealed();
      const drafts: SealedDraft[] = texts === null ? sealed : [...sealed, { task: null, itemIndex: null, member: "masks", value: texts }];
      const wish = { events: [created], opens, sideChanges, expected };
      await commitSealed(this.#deps, wish, { executionId, drafts }).catch(this.#taken);
      return { executionId, state: "PENDING" };
    }
    const runner = this.#addRunner(machine, null);
    const acquire = this.#claimWish(executionId);
    return { executionId, state: await runner.open({ events: [created], opens, sideChanges, sealed, acquire }).catch(this.#taken) };
  }

  /** An execution id that was used before loses the race for sequence 0, or its claim. */
  readonly #taken = (cause: unknown): never => {
    if (isCoded(cause, "CLAIM_LOST")) throw fail("ALREADY_EXISTS", "Cannot start the execution: its id is taken", { cause });
    throw cause;
  };

  /** What is masked from the first event on: all that the workflow may read, and what the starter called sensitive. */
  async #masksOf(definition: WorkflowDefinition, { workflow, inputs }: SubmitRequest): Promise<Masks> {
    const masks = new Masks();
    masks.add(sensitiveTexts(definition, inputs));
    if (definition.secrets.length === 0) return masks;
    const found = await this.#deps.vault.readSecrets(definition.secrets);
    const missing = definition.secrets.filter((name) => !found.has(name));
    if (missing.length > 0) throw secretsMissing(`run workflow "${workflow}"`, missing);
    masks.add([...found.values()].flatMap(maskTexts));
    return masks;
  }

  #headerOf(request: SubmitRequest, at: { row: RowOf<"revisions">; definition: WorkflowDefinition; masks: Masks }): ExecutionHeader {
    const { row, definition, masks } = at;
    const inputs = toIJson(request.inputs) as JsonObject;
    return {
      executionId: request.executionId,
      workflow: request.workflow,
      revision: request.revision,
      sha256: row.sha256,
      inputs,
      shownInputs: shownInputs(definition, inputs, masks),
      trigger: request.trigger,
      labels: request.labels,
      timeoutMs: request.timeoutMs ?? definition.timeoutMs,
      createdAt: this.#deps.clock.now(),
      sessionId: request.caller.sessionId,
      actor: actorOf(request.caller.principal),
      rootSpanId: this.#deps.ids.next(),
      parentSpanId: null,
      folder: row.folder,
      allow: request.allow ?? null,
    };
  }

  #createdEvent(machine: Machine, request: SubmitRequest) {
    const { header } = machine;
    const payload: JsonObject = {
      execution_id: header.executionId,
      workflow: header.workflow,
      revision: header.revision,
      sha256: header.sha256,
      trigger: header.trigger,
      inputs: header.shownInputs,
    };
    if (header.shownInputs !== header.inputs) payload["sealed"] = true;
    if (Object.keys(header.labels).length > 0) payload["labels"] = header.labels;
    if (request.timeoutMs !== null) payload["timeout_ms"] = request.timeoutMs;
    if (header.allow !== null) payload["allow"] = header.allow;
    const place = { traceId: header.executionId, spanId: header.rootSpanId, parentSpanId: null, sessionId: header.sessionId, actor: header.actor };
    return draftEvent(this.#deps, place, { type: "trace.execution.created", payload, time: header.createdAt });
  }

  /**
   * Asks for cancellation. The wish is durable at once; the owner, here or in another process, carries it out.
   * @throws EXECUTION_NOT_FOUND, EXECUTION_STATE when it ended otherwise
   */
  async cancel(executionId: string, caller: Caller): Promise<{ already: boolean; state: ExecutionState }> {
    const { store, ledger, ids, clock } = this.#deps;
    const row = await store.findExecution(executionId);
    if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot cancel execution "${executionId}": no such execution`);
    if (row.state === "CANCELLED") return { already: true, state: "CANCELLED" };
    if (row.ended_at !== null) throw endedOtherwise(executionId, row.state);
    const by = principalText(caller.principal);
    const command = { command_id: ids.next(), execution_id: executionId, kind: "cancel", body: "{}", by, created_at: clock.now() };
    await ledger.commit({ events: [], sideChanges: [{ table: "commands", op: "insert", row: command }] });
    await this.#takeCommands(executionId);
    const after = await store.findExecution(executionId);
    if (after !== null && after.ended_at !== null && after.state !== "CANCELLED") throw endedOtherwise(executionId, after.state);
    return { already: false, state: after?.state ?? row.state };
  }

  /** Hands commands to the runners of their executions. For one execution it is taken up where nobody owns it, and what only takes a commit is waited for. */
  async #takeCommands(executionId: string | null): Promise<void> {
    const { store, ledger } = this.#deps;
    for (const command of await store.listCommands(executionId)) {
      const id = command.execution_id;
      const runner = this.#runners.get(id) ?? (executionId === null ? null : await this.takeUp(id));
      if (runner !== null) {
        const answered = stopBy(runner, command);
        if (executionId !== null && runner.attempts === 0) await answered;
      } else if ((await store.findExecution(id))?.ended_at !== null) {
        // It ended while the command was on its way: nothing will answer it any more.
        await ledger.commit({ events: [], sideChanges: [{ table: "commands", op: "delete", key: { command_id: command.command_id } }] });
      }
    }
  }

  /** Claims and drives an execution that no living process owns; null when another one does, or it has ended. */
  takeUp(executionId: string): Promise<Runner | null> {
    const known = this.#runners.get(executionId);
    if (known !== undefined) return Promise.resolve(known);
    const begun = this.#taking.get(executionId);
    if (begun !== undefined) return begun;
    const taking = this.#claimAndRun(executionId).finally(() => this.#taking.delete(executionId));
    this.#taking.set(executionId, taking);
    return taking;
  }

  async #claimAndRun(executionId: string): Promise<Runner | null> {
    const { store, ledger } = this.#deps;
    try {
      if (this.#isStopping || !(await this.#isFree(executionId))) return null;
      const { claim } = await ledger.commit({ events: [], acquire: this.#claimWish(executionId) });
      if (claim === null) return null;
      const machine = await restoreMachine({ store, plans: this.#plans, vault: this.#deps.vault }, executionId);
      const commands = await store.listCommands(executionId);
      if (this.#isStopping || isEnded(machine)) {
        await store.releaseClaims([claim]);
        return null;
      }
      // Taken now: what is decided from here on starts attempts of its own.
      const lost = [...machine.running].map(() => () => decideRecovery(machine, this.#context(), this.#deps.isIdempotent));
      const runner = this.#addRunner(machine, claim);
      for (const command of commands) void stopBy(runner, command);
      runner.adopt(lost);
      return runner;
    } catch (cause) {
      if (isOurMistake(cause)) this.#hopeless.add(executionId);
      if (!isCoded(cause, "CLAIM_LOST")) this.#deps.onTrouble(`Cannot take up execution "${executionId}": ${describeAbandon(cause)}`);
      return null;
    }
  }

  /** Stops taking work, lets attempts finish up to the bound, then kills them and gives all claims back. */
  async stop(drainMs: number): Promise<void> {
    const { timers, clock, ledger, store } = this.#deps;
    this.#isStopping = true;
    this.#places.close();
    if (this.#timer !== null) timers.clear(this.#timer);
    const until = clock.now() + drainMs;
    while (this.#isBusy() && clock.now() < until) await this.#pause(Math.min(50, drainMs));
    await Promise.all([this.#looking, ...this.#taking.values()]);
    const runners = [...this.#runners.values()];
    await Promise.all(runners.map((runner) => runner.abandon(fail("NOT_READY", "The process stopped before the execution ended"))));
    await ledger.settle();
    await store.releaseClaims(runners.map((runner) => runner.fence).filter((fence) => fence !== null));
  }

  #isBusy(): boolean {
    return [...this.#runners.values()].some((runner) => runner.isBusy);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.timers.set(this.#deps.clock.now() + ms, resolve));
  }

  #addRunner(machine: Machine, claim: ClaimFence | null): Runner {
    const { store, ledger, timers, invoker, vault, onTrouble } = this.#deps;
    machine.env = grantedEnv(this.#deps.environment, envGrants(machine));
    const onGone = (runner: Runner) => this.#forget(runner);
    const context = () => this.#context();
    const runner = new Runner({ store, ledger, timers, invoker, vault, onTrouble, places: this.#places, context, onGone }, machine, claim);
    this.#runners.set(runner.id, runner);
    return runner;
  }

  #forget(runner: Runner): void {
    this.#runners.delete(runner.id);
    runner.ended.catch((cause: unknown) => {
      if (isOurMistake(cause)) this.#hopeless.add(runner.id);
      if (!this.#isStopping) this.#deps.onTrouble(`Execution "${runner.id}" was given up: ${describeAbandon(cause)}`);
    });
  }

  #context(): EngineContext {
    const { clock, ids, random, environment } = this.#deps;
    return { clock, ids, random, environment };
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
      if (this.#runners.has(row.execution_id) || this.#hopeless.has(row.execution_id)) continue;
      await this.takeUp(row.execution_id);
    }
  }

  /** Twice a second: what other processes wrote, and the leases. */
  #tick(): void {
    if (this.#isStopping) return;
    this.#timer = this.#deps.timers.set(this.#deps.clock.now() + tickMs, () => {
      void this.#extendLeases()
        .catch((cause: unknown) => this.#deps.onTrouble(`Cannot extend claims: ${describeAbandon(cause)}`))
        .then(() => this.#tick());
      // Takes as long as there is to take over, which must not hold the leases up.
      this.#looking ??= this.#look()
        .catch((cause: unknown) => this.#deps.onTrouble(`Cannot see what other processes wrote: ${describeAbandon(cause)}`))
        .finally(() => (this.#looking = null));
    });
  }

  async #look(): Promise<void> {
    const { store, ledger, clock } = this.#deps;
    const token = await store.changeToken();
    if (token !== this.#token) ledger.announceExternal();
    // A process that died without a word leaves its claims to expire: that changes nothing in the store.
    else if (clock.now() - this.#lastLook < leaseMs / 3) return;
    this.#lastLook = clock.now();
    if (this.#takesAll) await this.#takeOrphans();
    await this.#takeCommands(null);
    // Only now: what could not be read to its end is read again.
    this.#token = token;
  }

  async #extendLeases(): Promise<void> {
    const { store, clock } = this.#deps;
    const now = clock.now();
    if (now - this.#lastExtend < leaseMs / 3) return;
    this.#lastExtend = now;
    const fences = [...this.#runners.values()].map((runner) => runner.fence).filter((fence) => fence !== null);
    const lost = new Set(await store.extendClaims(fences, now + leaseMs));
    for (const fence of fences) {
      const runner = this.#runners.get(executionOf(fence.resource));
      if (lost.has(fence.resource) && runner?.fence === fence)
        void runner.abandon(fail("CLAIM_LOST", `Cannot go on with execution "${runner.id}": another process owns it`));
    }
  }
}

/** Expressions see what some task could. */
function envGrants({ plan, header: { allow } }: Machine): string[] {
  const own = plan.definition.permissions.env ?? [];
  return allow === null ? own : [...own, ...allow.env, ...(allow.all ? [anyVariable] : [])];
}

function resourceOf(executionId: string): string {
  return `${claimKind}${executionId}`;
}

function executionOf(resource: string): string {
  return resource.slice(claimKind.length);
}

const claimKind = "execution:";

function stopBy(runner: Runner, command: RowOf<"commands">): Promise<void> {
  return command.kind === "cancel" ? runner.requestStop({ reason: "USER_CANCELLED", by: command.by }, command.command_id) : Promise.resolve();
}

function endedOtherwise(executionId: string, state: string) {
  return fail("EXECUTION_STATE", `Cannot cancel execution "${executionId}": it ended with ${state}`);
}

const lasting: readonly string[] = ["INTERNAL", "WORKFLOW_INVALID", "BLOB_NOT_FOUND", "SECRET_KEY_WRONG", "FILE_MODE_UNSAFE"];

/** What will not be better at the next try, unlike a busy store or a lost claim. */
function isOurMistake(cause: unknown): boolean {
  return !isCoded(cause) || lasting.includes(cause.code);
}

/** What of a start is sealed beside its masks. */
function draftsOf({ inputs, shownInputs }: ExecutionHeader, { requestDigest }: SubmitRequest): SealedDraft[] {
  const drafts: SealedDraft[] = [];
  if (shownInputs !== inputs) drafts.push({ task: null, itemIndex: null, member: "inputs", value: inputs });
  if (requestDigest !== undefined) drafts.push({ task: null, itemIndex: null, member: "request", value: requestDigest });
  return drafts;
}
