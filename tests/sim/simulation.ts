// One simulated run: two engines on one store, clients that try again, faults, and all invariants at the end.
import { isCoded } from "../../src/base/index.ts";
import type { Command, TaskCall } from "../../src/engine/index.ts";
import type { CommittedEvent } from "../../src/storage/index.ts";
import { startAt, type TimeOwner } from "../flow/fake-time.ts";
import { caller, type Process, World } from "../flow/world.ts";
import { Disk, type Faults } from "./faults.ts";
import { check, checkAcknowledged, checkClean, checkExecution, checkMasked } from "./invariants.ts";
import { preparingFor, type Scenario, scriptFor, token } from "./scenario.ts";

export type Outcome = {
  commits: number;
  crashes: number;
  refusals: number;
  freezes: number;
  states: string[];
  lost: number;
  denied: number;
  cancels: number;
};

/** Fake time after which a run that has not ended counts as stuck. */
const patienceMs = 30 * 60_000;
const restartMs = 700;

/** @throws Error that names the broken invariant; with `tell` also the whole history */
export async function simulate(scenario: Scenario, faults: Faults, options: { verifyState: boolean; tell: boolean }): Promise<Outcome> {
  const run = new Simulation(scenario, faults);
  try {
    await run.toTheEnd();
    return await run.judge(options.verifyState);
  } catch (cause) {
    if (!options.tell) throw cause;
    throw new Error(`${String(cause)}\n${JSON.stringify(scenario)}\n${await run.history()}`, { cause });
  }
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #disk: Disk;
  readonly #world: World;
  readonly #processes: Process[] = [];
  readonly #acknowledged: CommittedEvent[] = [];
  readonly #attempts = new Set<string>();
  readonly #ids: string[] = [];
  /** What is found inside calls of the engine, which would swallow a throw. */
  readonly #problems: string[] = [];
  #clients = 0;
  #cancels = 0;

  constructor(scenario: Scenario, faults: Faults) {
    this.#scenario = scenario;
    this.#disk = new Disk(faults);
    const submissionOf = (call: Pick<TaskCall, "executionId">) => this.#ids.indexOf(call.executionId);
    this.#world = new World({
      seed: scenario.seed,
      scriptOf: (call) => scriptFor(scenario.seed, submissionOf(call), call),
      preparingOf: (ask) => preparingFor(scenario.seed, submissionOf(ask), ask),
      wrap: (store, process) => this.#disk.wrap(store, process, () => this.#world),
    });
    this.#world.stage.onStart = (call, owner) => this.#checkStart(call, owner);
    this.#disk.onCrash = (owner) => this.#restart(owner);
  }

  async toTheEnd(): Promise<void> {
    const { time } = this.#world;
    const { workflows, submissions, cancels, pauses } = this.#scenario;
    const targets = [];
    for (const workflow of workflows) targets.push(await this.#world.apply(workflow));
    await this.#world.setSecret("TOKEN", token);
    for (let slot = 0; slot < 2; slot += 1) this.#launch(slot);
    for (const { workflow, atMs, process } of submissions) {
      const request = this.#world.request(targets[workflow] ?? { workflow: "", revision: 0 });
      this.#ids.push(request.executionId);
      const submit = (at: Process) => at.engine.submit({ ...request });
      this.#client(atMs, process, { call: submit, settled: "ALREADY_EXISTS" });
    }
    for (const { submission, atMs, forMs, process } of pauses) {
      this.#ask(this.#ids[submission] ?? "", { kind: "pause" }, { atMs, slot: process });
      this.#ask(this.#ids[submission] ?? "", { kind: "resume" }, { atMs: atMs + forMs, slot: process });
    }
    for (const { submission, atMs, process } of cancels) this.#cancel(this.#ids[submission] ?? "", atMs, process);
    const last = time.now + patienceMs;
    while (!(await this.#isOver())) {
      const moved = await time.step(last);
      check(this.#problems.length === 0, this.#problems.join("; "));
      check(moved, "the run is stuck");
      await this.#answerDoubts();
    }
    // What follows an end, such as cleaning up and giving claims back, needs no more than a look around.
    await time.advance(this.#disk.freezes > 0 ? 40_000 : 6000);
    check(this.#problems.length === 0, this.#problems.join("; "));
  }

  async judge(verifyState: boolean): Promise<Outcome> {
    const world = this.#world;
    await checkAcknowledged(world, this.#acknowledged);
    for (const id of this.#ids) await checkExecution(world, id);
    // Who dies, or hears "no", just after it claimed what had ended meanwhile leaves a row that harms nobody.
    const mayLeaveClaim = (owner: string) => this.#disk.refusals > 0 || !this.#live().some((process) => process.name === owner);
    await checkClean(world, this.#ids, mayLeaveClaim);
    for (const process of this.#live()) check(process.engine.live === 0, `${process.name} still drives ${process.engine.live} executions`);
    await checkMasked(world, this.#ids, token);
    const report = await world.verify(verifyState);
    check(report.ok, `the store does not verify: ${report.problem?.message ?? ""}`);
    const states = await Promise.all(this.#ids.map(async (id) => (await world.execution(id)).state));
    const count = (type: string) => this.#disk.written.filter((event) => event.draft.type === type).length;
    const lost = count("trace.task.lost");
    const denied = count("trace.permission.denied");
    await world.store.close();
    const { commits, crashes, refusals, freezes } = this.#disk;
    return { commits, crashes, refusals, freezes, states, lost, denied, cancels: this.#cancels };
  }

  async history(): Promise<string> {
    const events = await this.#world.store.listEvents({ limit: 100_000 });
    const lines = events.map((event) => {
      const { payload } = JSON.parse(event.body) as { payload: Record<string, unknown> };
      const place = [payload["execution_id"], payload["task"], payload["attempt"], payload["reason"]].filter((part) => part !== undefined).join(" ");
      return `${event.seq} +${event.time - startAt} ${event.type} ${place}`;
    });
    return [...lines, ...this.#processes.flatMap((process) => process.troubles)].join("\n");
  }

  #launch(slot: number): void {
    const process = this.#world.launch({ limits: this.#scenario.limits });
    this.#processes[slot] = process;
    process.ledger.listen((news) => this.#acknowledged.push(...news.events));
    void process.engine.start({ takesAll: true });
  }

  #restart(owner: TimeOwner): void {
    const slot = this.#processes.findIndex((process) => process.owner === owner);
    this.#world.time.timersOf(this.#world.hand).set(this.#world.time.now + restartMs, () => this.#launch(slot));
  }

  #live(): Process[] {
    return this.#processes.filter((process) => !process.owner.isDead);
  }

  /** A client that wants an answer: it asks again where the process died, or the store was not there. */
  #client(atMs: number, slot: number, wish: { call: (at: Process) => Promise<unknown>; settled: string }): void {
    this.#clients += 1;
    const { time, hand } = this.#world;
    const ask = async (): Promise<void> => {
      const process = this.#processes[slot];
      if (process === undefined || process.owner.isDead) return again();
      const died = new Promise<"died">((resolve) => {
        const look = () => (process.owner.isDead ? resolve("died") : time.timersOf(process.owner).set(time.now + 300, look));
        time.timersOf(hand).set(time.now + 60_000, () => resolve("died"));
        look();
      });
      try {
        if ((await Promise.race([wish.call(process), died])) === "died") return again();
      } catch (cause) {
        if (!isCoded(cause) || cause.code !== wish.settled) {
          this.#expect(isCoded(cause, "STORE_UNAVAILABLE") || isCoded(cause, "CLAIM_LOST"), `a client got ${String(cause)}`);
          return again();
        }
      }
      this.#clients -= 1;
    };
    const again = () => void time.timersOf(hand).set(time.now + 500, () => void ask());
    time.timersOf(hand).set(time.now + atMs, () => void ask());
  }

  #cancel(id: string, atMs: number, slot: number): void {
    this.#ask(id, { kind: "cancel" }, { atMs, slot });
  }

  #ask(id: string, command: Command, { atMs, slot }: { atMs: number; slot: number }): void {
    const call = async (at: Process) => {
      try {
        await at.engine.command(id, command, caller);
        if (command.kind === "cancel") this.#cancels += 1;
      } catch (cause) {
        // Not submitted yet: nothing to cancel is an answer too.
        if (!isCoded(cause, "EXECUTION_NOT_FOUND")) throw cause;
      }
    };
    this.#client(atMs, slot, { call, settled: "EXECUTION_STATE" });
  }

  /** A task that asks what became of its attempt gets no answer here: its execution is cancelled. */
  async #answerDoubts(): Promise<void> {
    if (this.#clients > 0) return;
    for (const id of this.#ids) {
      const row = await this.#world.store.findExecution(id);
      // A client that died with its process may have paused after all that resumes had been asked for.
      if (row?.state === "WAITING" && row.reason === "PAUSED") this.#ask(id, { kind: "resume" }, { atMs: 10, slot: 0 });
      if (row?.state === "WAITING" && row.reason === "OUTCOME_UNKNOWN") this.#cancel(id, 10, 0);
    }
  }

  async #isOver(): Promise<boolean> {
    if (this.#clients > 0 || this.#live().length < 2) return false;
    // Children too.
    return (await this.#world.store.listUnfinished({ limit: 1 })).length === 0;
  }

  /** Before an attempt starts: its start is durable, nothing else of the task runs, and what it needs is durably over. */
  #checkStart(call: TaskCall, owner: TimeOwner): void {
    const name = `${call.executionId} ${call.task} ${call.itemIndex} ${call.attempt}`;
    this.#expect(!owner.isDead, `${name} is started by a dead process`);
    this.#expect(call.prepared.refusal === null, `${name} is started although it was refused`);
    this.#expect(!this.#attempts.has(name), `${name} is started twice`);
    for (const [variable, value] of Object.entries(call.env))
      this.#expect(value === token || (value === "" && variable !== "T"), `${name} gets "${value}" as ${variable}`);
    this.#attempts.add(name);
    const own = this.#disk.written.filter(({ draft }) => draft.traceId === call.executionId);
    const isOwn = ({ draft: { payload } }: CommittedEvent) => payload["task"] === call.task && payload["item_index"] === call.itemIndex;
    const starts = own.filter((event) => event.draft.type === "trace.task.started" && isOwn(event));
    const started = starts.find(({ draft }) => draft.payload["attempt"] === call.attempt);
    this.#expect(started !== undefined, `${name} is started before that is durable`);
    for (const { call: other, owner: otherOwner } of this.#world.stage.live.values()) {
      const isSame = other.executionId === call.executionId && other.task === call.task && other.itemIndex === call.itemIndex;
      if (isSame && otherOwner === owner) this.#expect(false, `${name} runs beside attempt ${other.attempt} of the same process`);
      // A frozen process does not know yet that its claim is lost; its attempt was declared lost in the trace.
      if (isSame)
        this.#expect(this.#disk.freezes > 0 && own.some(({ draft }) => draft.type === "trace.task.lost"), `${name} runs beside one that is not lost`);
    }
    for (const need of this.#needsOf(call)) {
      const isEnd = /succeeded|failed|skipped|cancelled|expanded/;
      const isOver = own.some(({ draft: { type, payload } }) => payload["task"] === need && isEnd.test(type) && payload["will_retry"] !== true);
      this.#expect(isOver, `${name} is started before the end of ${need} is durable`);
    }
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) this.#problems.push(what);
  }

  #needsOf(call: TaskCall): string[] {
    const workflow = this.#scenario.workflows.find((one) => one["id"] === call.workflow);
    const all = [workflow?.["tasks"], workflow?.["onFailure"], workflow?.["finally"]].flatMap(
      (list) => (list ?? []) as { id: string; needs?: string[] }[],
    );
    return all.find((task) => task.id === call.task)?.needs ?? [];
  }
}
