// Starts, takes over and stops executions. Each is driven by a runner; the engine owns claims, places and what reaches it
// from other processes.
import { canonicalJson, type Clock, fail, fromErrorBody, type Ids, isCoded, limits } from "../base/index.ts";
import { anyVariable, type Caller, type ExecutionState, principalText, type WorkflowDefinition } from "../model/index.ts";
import { maskTexts, type Vault } from "../secrets/index.ts";
import type { ClaimFence, RowOf, Store } from "../storage/index.ts";
import type { Ledger } from "../trace/index.ts";
import { sensitiveTexts } from "../workflow/index.ts";
import { grantedEnv } from "./actions.ts";
import { type ChildAsk, type ChildEnd, childEnd, childStart, notStarted } from "./children.ts";
import { type Command, parseCommand } from "./commands.ts";
import type { EngineContext } from "./decision.ts";
import { decideRecovery } from "./decide.ts";
import { decideRefused } from "./end.ts";
import { isEnded, type Machine, nameOf, newMachine } from "./machine.ts";
import { Places } from "./places.ts";
import { Plans } from "./plans.ts";
import { Masks } from "./masks.ts";
import type { OwnerWatch, TaskInvoker, Timers } from "./ports.ts";
import { secretsMissing } from "./preparations.ts";
import { loadReuse, noReuse } from "./reuse.ts";
import { commitSealed, type SealedDraft } from "./sealing.ts";
import { createdEvent, headerOf, type SubmitRequest } from "./submission.ts";
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
    const reuse = request.restart == null ? noReuse : await loadReuse(this.#deps, plan, request.restart);
    masks.add([...reuse.masks, ...(request.masks ?? [])]);
    // Forms of large values take their time: others have their turns meanwhile.
    await masks.masker.ready();
    if (this.#isStopping) throw fail("NOT_READY", "Cannot start an execution: the server is stopping");
    if (this.#places.queued >= limits.queueMax)
      throw fail("QUEUE_FULL", `Cannot start an execution: ${limits.queueMax} wait already`, { hint: "Try again when some have ended." });
    // The store refuses an id that was used before; one that runs here must keep its runner.
    if (this.#runners.has(executionId)) throw fail("ALREADY_EXISTS", `Cannot start the execution: its id "${executionId}" is taken`);
    const header = headerOf(this.#deps, request, { row, definition: plan.definition, masks });
    const machine = { ...newMachine(header, plan), masks, reuse };
    const opens = new Map([[executionId, { subject: "execution" as const, subjectId: executionId }]]);
    const { created, sealed } = createdEvent(this.#deps, machine, request);
    const { sideChanges } = request;
    if (!this.#deps.runs || request.refusal !== undefined) {
      const expected = new Map([[executionId, 0]]);
      const texts = masks.takeUnsealed();
      const drafts: SealedDraft[] = texts === null ? sealed : [...sealed, { task: null, itemIndex: null, member: "masks", value: texts }];
      const events = [
        created,
        ...(request.refusal === undefined ? [] : decideRefused(machine, this.#context(), { created, error: request.refusal })),
      ];
      await commitSealed(this.#deps, { events, opens, sideChanges, expected }, { executionId, drafts }).catch(this.#taken);
      return { executionId, state: machine.state };
    }
    const runner = this.#addRunner(machine, null);
    const acquire = this.#claimWish(executionId);
    return { executionId, state: await runner.open({ events: [created], opens, sideChanges, sealed, acquire }).catch(this.#taken) };
  }

  /**
   * Starts an ended execution again: the same revision, inputs and trigger, its results reused as far as `from` and its failures allow.
   * @throws EXECUTION_NOT_FOUND, EXECUTION_STATE while it has not ended, TASK_NOT_FOUND, and what `submit` throws
   */
  async restart(id: string, from: string | null, caller: Caller): Promise<{ executionId: string; state: ExecutionState }> {
    const { store, ids } = this.#deps;
    const row = await store.findExecution(id);
    if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot restart execution "${id}": no such execution`);
    if (row.ended_at === null)
      throw fail("EXECUTION_STATE", `Cannot restart execution "${id}": it is ${row.state}`, {
        hint: `Wait for its end, or: workflow execution cancel ${id}`,
      });
    const { header, plan, sealProblem } = await restoreMachine({ ...this.#deps, plans: this.#plans }, id);
    if (sealProblem !== null) throw fromErrorBody(sealProblem);
    if (from !== null && plan.tasks.get(from)?.definition.phase !== null)
      throw fail("TASK_NOT_FOUND", `Cannot restart execution "${id}" from "${from}": the workflow has no such task`);
    const { workflow, revision, inputs, trigger, triggerData, labels, timeoutMs, allow } = header;
    const restart = { executionId: id, from };
    const by = principalText(caller.principal);
    return this.submit({
      workflow,
      revision,
      inputs,
      triggerData,
      labels,
      timeoutMs,
      allow,
      restart,
      caller,
      trigger: { ...trigger, by },
      executionId: ids.next(),
      sideChanges: [],
    });
  }

  /** An execution id that was used before loses the race for sequence 0, or its claim. */
  readonly #taken = (cause: unknown): never => {
    if (isCoded(cause, "CLAIM_LOST")) throw fail("ALREADY_EXISTS", "Cannot start the execution: its id is taken", { cause });
    throw cause;
  };

  /** What is masked from the first event on: all that the workflow may read, and what the starter called sensitive. */
  async #masksOf(definition: WorkflowDefinition, { workflow, inputs, refusal }: SubmitRequest): Promise<Masks> {
    const masks = new Masks();
    masks.add(sensitiveTexts(definition, inputs));
    if (definition.secrets.length === 0 || refusal !== undefined) return masks;
    const found = await this.#deps.vault.readSecrets(definition.secrets);
    const missing = definition.secrets.filter((name) => !found.has(name));
    if (missing.length > 0) throw secretsMissing(`run workflow "${workflow}"`, missing);
    masks.add([...found.values()].flatMap(maskTexts));
    return masks;
  }

  /**
   * Asks something of an execution. The wish is durable at once; the owner, here or in another process, carries it out.
   * @throws EXECUTION_NOT_FOUND, TASK_NOT_FOUND, EXECUTION_STATE when its state does not allow it
   */
  async command(executionId: string, command: Command, caller: Caller): Promise<{ already: boolean; state: ExecutionState }> {
    const { store, ledger, ids, clock } = this.#deps;
    const row = await store.findExecution(executionId);
    if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot ${command.kind} execution "${executionId}": no such execution`);
    if (isSoAlready(row, command)) return { already: true, state: row.state };
    if (row.ended_at !== null) throw endedOtherwise(executionId, command, row.state);
    if (command.kind === "resolve") await this.#requireUnknown(executionId, command);
    const by = principalText(caller.principal);
    const { kind, ...body } = command;
    const wish = { command_id: ids.next(), execution_id: executionId, kind, body: canonicalJson(body), by, created_at: clock.now() };
    await ledger.commit({ events: [], sideChanges: [{ table: "commands", op: "insert", row: wish }] });
    await this.#takeCommands(executionId);
    const after = await store.findExecution(executionId);
    if (kind === "cancel" && after !== null && after.ended_at !== null && after.state !== "CANCELLED")
      throw endedOtherwise(executionId, command, after.state);
    return { already: false, state: after?.state ?? row.state };
  }

  async #requireUnknown(executionId: string, { task, itemIndex }: Extract<Command, { kind: "resolve" }>): Promise<void> {
    const name = nameOf(task, itemIndex);
    const afterItem = (itemIndex ?? -1) - 1;
    const [run] = await this.#deps.store.listItemRuns({ executionId, task, afterItem, limit: 1 });
    if (run === undefined || run.item_index !== (itemIndex ?? -1))
      throw fail("TASK_NOT_FOUND", `Cannot resolve task "${name}" of execution "${executionId}": no such task run`);
    if (run.state === "WAITING" && run.reason === "OUTCOME_UNKNOWN") return;
    const state = run.reason === null || run.reason === run.state ? run.state : `${run.state} (${run.reason})`;
    throw fail("EXECUTION_STATE", `Cannot resolve task "${name}" of execution "${executionId}": it is ${state}, its outcome is not unknown`);
  }

  /** Hands commands to the runners of their executions. For one execution it is taken up where nobody owns it, and what only takes a commit is waited for. */
  async #takeCommands(executionId: string | null): Promise<void> {
    const { store, ledger } = this.#deps;
    for (const command of await store.listCommands(executionId)) {
      const id = command.execution_id;
      const runner = this.#runners.get(id) ?? (executionId === null ? null : await this.takeUp(id));
      if (runner !== null) {
        const answered = requestOf(runner, command);
        // What only takes a commit is waited for; processes may take their time to end.
        if (executionId !== null && (command.kind !== "cancel" || runner.attempts === 0)) await answered;
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
      for (const command of commands) void requestOf(runner, command);
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
    const runner = new Runner(
      {
        store,
        ledger,
        timers,
        invoker,
        vault,
        onTrouble,
        context,
        onGone,
        places: this.#places,
        runChild: (ask) => this.#runChild(ask),
        cancelChild: (id) => this.#cancelChild(id, machine),
      },
      machine,
      claim,
    );
    this.#runners.set(runner.id, runner);
    return runner;
  }

  /** A child that is there already was started before a crash, or by the process that had its parent then. */
  async #runChild(ask: ChildAsk): Promise<ChildEnd> {
    const { store, vault } = this.#deps;
    const { id, wait } = ask.child;
    try {
      const known = await store.findExecution(id);
      const state = known === null ? await this.#startChild(ask) : known.state;
      if (!wait) return { result: { ok: true, output: { executionId: id, state } }, masks: [] };
      return await childEnd({ store, vault }, await this.#endOf(id));
    } catch (cause) {
      // Whoever takes the parent over asks again: a process that stops says nothing about the child.
      return this.#isStopping ? await new Promise<never>(() => undefined) : notStarted(cause);
    }
  }

  async #startChild(ask: ChildAsk): Promise<ExecutionState> {
    try {
      return (await this.submit(await childStart({ ...this.#deps, plans: this.#plans }, ask))).state;
    } catch (cause) {
      if (isCoded(cause, "ALREADY_EXISTS")) return "PENDING";
      throw cause;
    }
  }

  /** Resolves with the row of an execution once it has ended, whoever runs it. */
  async #endOf(id: string): Promise<RowOf<"executions">> {
    for (;;) {
      const row = await this.#deps.store.findExecution(id);
      if (row === null) throw fail("EXECUTION_NOT_FOUND", `Cannot wait for execution "${id}": it is not there any more`);
      if (row.ended_at !== null) return row;
      if (this.#isStopping) throw fail("NOT_READY", "The process stopped before the execution ended");
      const runner = this.#runners.get(id);
      if (runner === undefined) await this.#pause(tickMs);
      else await runner.ended.catch(() => this.#pause(tickMs));
    }
  }

  #cancelChild(id: string, { header }: Machine): void {
    const { actor, sessionId } = header;
    const caller: Caller = { principal: { type: "service", id: actor.id }, scopes: new Set(), sessionId, keyId: null };
    this.command(id, { kind: "cancel" }, caller).catch((cause: unknown) => {
      if (!isCoded(cause, "EXECUTION_STATE") && !isCoded(cause, "EXECUTION_NOT_FOUND"))
        this.#deps.onTrouble(`Cannot cancel execution "${id}" with its parent: ${describeAbandon(cause)}`);
    });
  }

  #forget(runner: Runner): void {
    this.#runners.delete(runner.id);
    runner.ended.catch((cause: unknown) => {
      if (isOurMistake(cause)) this.#hopeless.add(runner.id);
      // Without a claim it never began: who wanted to start it is told.
      if (!this.#isStopping && runner.fence !== null) this.#deps.onTrouble(`Execution "${runner.id}" was given up: ${describeAbandon(cause)}`);
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

function requestOf(runner: Runner, { command_id: id, kind, body, by }: RowOf<"commands">): Promise<void> {
  const command = parseCommand(kind, body);
  return command === null ? Promise.resolve() : runner.request({ id, command, by });
}

/** Whether what a command asks for is so before it. */
function isSoAlready(row: RowOf<"executions">, { kind }: Command): boolean {
  if (kind === "cancel") return row.state === "CANCELLED";
  const isPaused = row.state === "WAITING" && row.reason === "PAUSED";
  return (kind === "pause" && isPaused) || (kind === "resume" && !isPaused && row.ended_at === null);
}

function endedOtherwise(executionId: string, { kind }: Command, state: string) {
  return fail("EXECUTION_STATE", `Cannot ${kind} execution "${executionId}": it ended with ${state}`);
}

const lasting: readonly string[] = ["INTERNAL", "WORKFLOW_INVALID", "BLOB_NOT_FOUND", "SECRET_KEY_WRONG", "FILE_MODE_UNSAFE"];

/** What will not be better at the next try, unlike a busy store or a lost claim. */
function isOurMistake(cause: unknown): boolean {
  return !isCoded(cause) || lasting.includes(cause.code);
}
