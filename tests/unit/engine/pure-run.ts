// An execution without store, processes and time: decide and fold alone, moved by hand. Every event is folded a second time, as after a restart.
import type { ErrorBody, Json, JsonObject } from "../../../src/base/index.ts";
import type { DecideContext, Decision, Preparation, SecretsFound, TaskStart } from "../../../src/engine/decision.ts";
import { decideNext, decideRecovery, isOverdue } from "../../../src/engine/decide.ts";
import { fold } from "../../../src/engine/fold.ts";
import { findRun, type Machine, newMachine, nextWake, stopMachine } from "../../../src/engine/machine.ts";
import type { TaskAsk, TaskPrepared } from "../../../src/engine/ports.ts";
import type { SealedDraft } from "../../../src/engine/sealing.ts";
import { decideResult, type TaskResult } from "../../../src/engine/results.ts";
import { type EventDraft, findCoreAction } from "../../../src/model/index.ts";
import { compileWorkflow, parseWorkflow } from "../../../src/workflow/index.ts";
import { checkDraft } from "../../../src/trace/catalogue/catalogue.ts";
import { countingIds, startAt } from "../../flow/fake-time.ts";
import { unconfined } from "../../flow/scripted-invoker.ts";

export const failed = (code = "PLUGIN_EXIT", retryable = true): TaskResult => {
  const error: ErrorBody = { code, kind: "failed", message: "It was told to fail" };
  return { ok: false, error, retryable };
};

export const task = (id: string, more: JsonObject = {}): JsonObject => ({ id, ...(more["type"] === undefined ? { run: "true" } : {}), ...more });

export class PureRun {
  readonly machine: Machine;
  readonly events: EventDraft[] = [];
  readonly starts: TaskStart[] = [];
  readonly logs: Decision["logs"] = [];
  now = startAt;
  slots = 50;
  drawn = 0.5;
  environment: Record<string, string> = {};
  readonly asks: TaskAsk[] = [];
  /** Tasks for which something is being looked up. */
  readonly underWay = new Set<string>();
  prepare: (ask: TaskAsk) => TaskPrepared | null = () => unconfined;
  /** As they are in the store now; null for one that cannot be read. */
  secrets: Record<string, string | null> = {};
  /** What was kept beside the events. */
  readonly sealed: SealedDraft[] = [];
  readonly #definition: JsonObject;
  readonly #inputs: JsonObject;
  readonly #ids = countingIds();

  constructor(definition: JsonObject, inputs: JsonObject = {}) {
    this.#definition = definition;
    this.#inputs = inputs;
    this.machine = this.#fresh();
  }

  #fresh(): Machine {
    const source = JSON.stringify({ id: "pure", ...this.#definition });
    const { definition, diagnostics } = parseWorkflow(source, { file: "pure", hasFolder: false, findAction: findCoreAction });
    if (definition === null) throw new Error(JSON.stringify(diagnostics));
    const id = "01900000-0000-7000-8000-000000000009";
    const header = {
      executionId: id,
      workflow: definition.id,
      revision: 1,
      sha256: "0".repeat(64),
      inputs: this.#inputs,
      shownInputs: this.#inputs,
      labels: {},
      timeoutMs: definition.timeoutMs,
      trigger: { type: "manual", id: null, scheduled_at: null, by: "user:tester" },
      triggerData: null,
      createdAt: startAt,
      sessionId: id,
      actor: { type: "user" as const, id: "tester" },
      rootSpanId: id,
      parentSpanId: null,
      folder: null,
      allow: null,
      parent: null,
      restart: null,
    };
    return newMachine(header, compileWorkflow(definition));
  }

  get context(): DecideContext {
    const preparation: Preparation = {
      isUnderWay: (id) => this.underWay.has(id),
      ask: (ask) => {
        this.asks.push(ask);
        return this.prepare(ask);
      },
      secrets: (_, names) => this.#readSecrets(names),
    };
    return {
      clock: { now: () => this.now },
      ids: this.#ids,
      random: () => this.drawn,
      slots: this.slots,
      environment: this.environment,
      preparation,
    };
  }

  #readSecrets(names: readonly string[]): SecretsFound {
    const values = Object.fromEntries(names.map((name) => [name, this.secrets[name] ?? null]));
    const missing = names.find((name) => values[name] === null);
    if (missing === undefined) return { ok: true, values: values as Record<string, string>, masks: Object.values(values) as string[] };
    return { ok: false, error: { code: "SECRETS_MISSING", kind: "invalid", message: `no ${missing}` } };
  }

  take(decision: Decision): boolean {
    this.sealed.push(...(decision.sealed ?? []));
    for (const event of decision.events) {
      checkDraft(event);
      fold(this.machine, event, decision.sealed);
      this.events.push(event);
    }
    this.slots -= decision.starts.length;
    this.starts.push(...decision.starts);
    this.logs.push(...decision.logs);
    return decision.events.length > 0;
  }

  /** Decides until nothing follows from the state alone. */
  settle(): this {
    for (let steps = 0; steps < 10_000; steps += 1) {
      if (isOverdue(this.machine, this.now)) stopMachine(this.machine, { reason: "TIMEOUT", by: null });
      if (!this.take(decideNext(this.machine, this.context))) return this;
    }
    throw new Error("deciding does not end");
  }

  /** The running attempt of a task ends, or that of an item: `task[0]`. */
  end(id: string, result: TaskResult | Json = {}): this {
    const run = findRun(this.machine, id);
    if (run === null || run.state !== "RUNNING") throw new Error(`${id} does not run`);
    this.slots += 1;
    const isResult = typeof result === "object" && result !== null && "ok" in result;
    const outcome = isResult ? (result as TaskResult) : { ok: true as const, output: result as Json };
    const end = { durationMs: 5, logSha256: "0".repeat(64), logLines: 0 };
    this.take(decideResult(this.machine, this.context, { run, attempt: run.attempt, result: outcome, end }));
    return this.settle();
  }

  cancel(by = "user:tester"): this {
    stopMachine(this.machine, { reason: "USER_CANCELLED", by });
    return this.settle();
  }

  /** The process dies: all attempts are lost, and a new one decides on. */
  crash(): this {
    while (this.take(decideRecovery(this.machine, this.context, (action) => findCoreAction(action)?.idempotent ?? false)));
    return this.settle();
  }

  advance(ms: number): this {
    this.now += ms;
    return this.settle();
  }

  /** Goes to the moment at which something happens by itself. */
  wake(): this {
    const at = nextWake(this.machine, this.now);
    if (at === null) throw new Error("nothing will happen by itself");
    return this.advance(at - this.now);
  }

  /** State and reason of every task. */
  get tasks(): Record<string, string> {
    return Object.fromEntries([...this.machine.runs].map(([id, run]) => [id, run.reason === null ? run.state : `${run.state} ${run.reason}`]));
  }

  get state(): string {
    return this.machine.reason === null ? this.machine.state : `${this.machine.state} ${this.machine.reason}`;
  }

  get running(): string[] {
    return [...this.machine.running].toSorted();
  }

  typesOf(id: string): string[] {
    return this.events.filter((event) => event.payload["task"] === id).map((event) => event.type.replace("trace.task.", ""));
  }

  lastPayload(type: string): JsonObject {
    const found = this.events.findLast((event) => event.type === type);
    if (found === undefined) throw new Error(`no ${type}`);
    return found.payload;
  }

  /** The same events folded into a new machine. */
  restored(): Machine {
    const machine = this.#fresh();
    for (const event of this.events) fold(machine, JSON.parse(JSON.stringify(event)) as EventDraft, this.sealed);
    return machine;
  }
}

/** What of a machine must be the same after a restart: all but what its plan and header hold. */
export function shape(machine: Machine): unknown {
  const { plan: _plan, header: _header, runs, ...rest } = machine;
  const folded = [...runs.values()].map(({ task: compiled, ...run }) => [compiled.definition.id, run]);
  const text = JSON.stringify({ ...rest, running: [...rest.running].toSorted(), waiting: [...rest.waiting].toSorted(), runs: folded });
  return JSON.parse(text) as unknown;
}

/** Starts a workflow with these tasks. */
export function begin(tasks: JsonObject[], more: JsonObject = {}, inputs: JsonObject = {}): PureRun {
  return new PureRun({ tasks, ...more }, inputs).settle();
}
