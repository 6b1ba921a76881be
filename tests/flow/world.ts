// Engines on a real SQLite store with fake time and scripted attempts: what a flow or a simulation starts from.
import { type JsonObject, sha256Hex } from "../../src/base/index.ts";
import { Engine, type EngineDeps, type SubmitRequest, type TaskAsk, type TaskCall } from "../../src/engine/index.ts";
import { type Caller, findCoreAction, scopes, type TraceEvent } from "../../src/model/index.ts";
import { createVault, type Vault } from "../../src/secrets/index.ts";
import { openSqliteStore, type RowOf, type Store, type StoredEvent } from "../../src/storage/index.ts";
import { draftEvent, Ledger, verifyStore, type VerifyReport } from "../../src/trace/index.ts";
import { countingIds, FakeTime, type Random, seededRandom, type TimeOwner } from "./fake-time.ts";
import { done, type Preparing, prepared, type Script, type ScriptedInvoker, scriptedInvoker, Stage } from "./scripted-invoker.ts";

const sessionId = "01900000-0000-7000-8000-000000000001";
const systemTrace = "01900000-0000-7000-8000-000000000002";

export const caller: Caller = { principal: { type: "user", id: "tester" }, scopes: new Set(scopes), sessionId, keyId: null };

export type Process = {
  owner: TimeOwner;
  name: string;
  engine: Engine;
  ledger: Ledger;
  vault: Vault;
  invoker: ScriptedInvoker;
  troubles: string[];
};

export type WorldOptions = {
  seed?: number;
  path?: string;
  scriptOf?: (call: TaskCall) => Script;
  preparingOf?: (ask: TaskAsk) => Preparing;
  /** Puts something between an engine and the store. */
  wrap?: (store: Store, process: { owner: TimeOwner; name: string }) => Store;
};

export class World {
  readonly time = new FakeTime();
  readonly ids = countingIds();
  readonly stage = new Stage();
  readonly store: Store;
  readonly random: Random;
  readonly #options: WorldOptions;
  readonly #processes = new Map<string, Process>();
  readonly #writes = new Map<string, number>();
  /** The test's own hand: never dies. */
  readonly hand: TimeOwner = { isDead: false, frozenUntil: 0 };

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.store = openSqliteStore({ path: options.path ?? ":memory:", durability: "normal", now: this.time.now });
  }

  /** A process with its own engine on the shared store. */
  launch(overrides: Partial<EngineDeps> = {}): Process {
    const owner: TimeOwner = { isDead: false, frozenUntil: 0 };
    const name = `process-${this.#processes.size + 1}`;
    const { time, stage } = this;
    const timers = time.timersOf(owner);
    const troubles: string[] = [];
    const own = this.#shared(name);
    const store = this.#options.wrap?.(own, { owner, name }) ?? own;
    const ledger = new Ledger({ store, schedule: timers.soon });
    const { scriptOf, preparingOf } = this.#options;
    const scripts = { scriptOf: (call: TaskCall) => scriptOf?.(call) ?? done, preparingOf: (ask: TaskAsk) => preparingOf?.(ask) ?? prepared };
    const invoker = scriptedInvoker({ time, owner, stage }, scripts);
    const vault = overrides.vault ?? this.vaultOf(ledger);
    const engine = new Engine({
      store,
      ledger,
      vault,
      clock: time.clock,
      ids: this.ids,
      random: this.random,
      timers,
      invoker,
      owner: name,
      runs: true,
      owners: { isDead: (other) => this.#processes.get(other)?.owner.isDead ?? false },
      limits: { executions: 10, tasks: 50 },
      environment: {},
      isIdempotent: (action) => findCoreAction(action)?.idempotent ?? false,
      onTrouble: (text) => void troubles.push(text),
      ...overrides,
    });
    const process = { owner, name, engine, ledger, vault, invoker, troubles };
    this.#processes.set(name, process);
    return process;
  }

  /** The secrets of the store under a key that no file holds. */
  vaultOf(ledger: Ledger, secretKey = "5e".repeat(32)): Vault {
    return createVault({
      store: this.store,
      commit: (sideChanges) => ledger.commit({ events: [], sideChanges }),
      keysDir: "/nonexistent/keys",
      dataDir: "/nonexistent",
      secretKey,
      secretKeyOld: null,
      clock: this.time.clock,
      onTrouble: () => undefined,
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256)),
    });
  }

  async setSecret(name: string, value: string): Promise<void> {
    const ledger = new Ledger({ store: this.#shared("hand"), schedule: (work) => work() });
    const key = await this.vaultOf(ledger).key();
    const row = key.encryptSecret(name, Buffer.from(value), { createdAt: 1, now: 1, by: "user:tester" });
    await ledger.commit({ events: [], sideChanges: [{ table: "secrets", op: "put", key: { name }, row }], sealedWith: key.id });
  }

  /** Everything of the process stops at once, as by kill -9: its timers, its attempts, its calls. */
  crash(process: Pick<Process, "owner">): void {
    process.owner.isDead = true;
    for (const [key, { owner }] of this.stage.live) if (owner === process.owner) this.stage.live.delete(key);
  }

  /** The store as one process sees it: the change token moves when another one writes. */
  #shared(name: string): Store {
    const wrote = () => void this.#writes.set(name, (this.#writes.get(name) ?? 0) + 1);
    const others = () => [...this.#writes].reduce((sum, [writer, count]) => (writer === name ? sum : sum + count), 0);
    const { store } = this;
    return {
      ...store,
      commit: (requests) => {
        wrote();
        return store.commit(requests);
      },
      changeToken: async () => others(),
    };
  }

  /** Stores a workflow's JSON as its next revision. */
  async apply(definition: JsonObject): Promise<{ workflow: string; revision: number }> {
    const workflow = String(definition["id"]);
    const source = JSON.stringify(definition);
    const sha256 = sha256Hex(source);
    const before = await this.store.findWorkflow(workflow);
    const revision = (before?.revision ?? 0) + 1;
    const isNew = before === null;
    const place = { traceId: systemTrace, spanId: systemTrace, parentSpanId: null, sessionId, actor: { type: "user" as const, id: "tester" } };
    const payload = {
      workflow,
      revision,
      sha256,
      enabled: true,
      current: true,
      armed: true,
      folder: null,
      new_revision: true,
      new_workflow: isNew,
      name: null,
      description: null,
      labels: {},
    };
    const event = draftEvent({ clock: this.time.clock, ids: this.ids }, place, { type: "trace.workflow.applied", payload });
    const opens = new Map([[systemTrace, { subject: "system" as const, subjectId: systemTrace }]]);
    const blobs = [{ sha256, bytes: new TextEncoder().encode(source), contentType: "application/json" }];
    const ledger = new Ledger({ store: this.#shared("hand"), schedule: (work) => work() });
    await ledger.commit({ events: [event], opens, blobs });
    return { workflow, revision };
  }

  request(target: { workflow: string; revision: number }, more: Partial<SubmitRequest> = {}): SubmitRequest {
    const trigger = { type: "manual", id: null, scheduled_at: null, by: "user:tester" };
    return { ...target, inputs: {}, trigger, labels: {}, executionId: this.ids.next(), timeoutMs: null, caller, sideChanges: [], ...more };
  }

  /** Submits and lets the first commit happen. */
  async submit(process: Process, target: { workflow: string; revision: number }, more: Partial<SubmitRequest> = {}): Promise<string> {
    const started = this.pump(process.engine.submit(this.request(target, more)));
    return (await started).executionId;
  }

  /** Runs what can run without time passing until the promise is settled; for calls that need no time. */
  async pump<T>(work: Promise<T>): Promise<T> {
    const state = { isOver: false };
    const over = () => void (state.isOver = true);
    work.then(over, over);
    for (let round = 0; round < 100 && !state.isOver; round += 1) await this.time.settle();
    if (!state.isOver) throw new Error("The call does not end without time passing");
    return work;
  }

  async execution(id: string): Promise<RowOf<"executions">> {
    const row = await this.store.findExecution(id);
    if (row === null) throw new Error(`no execution ${id}`);
    return row;
  }

  /** Lets time pass until the execution has ended. */
  async end(id: string, ms?: number): Promise<RowOf<"executions">> {
    await this.time.until(async () => (await this.execution(id)).ended_at !== null, ms);
    return this.execution(id);
  }

  async events(id: string): Promise<(StoredEvent & { payload: JsonObject })[]> {
    const found = await this.store.listEvents({ traceId: id, limit: 100_000 });
    return found.map((event) => Object.assign(event, { payload: (JSON.parse(event.body) as TraceEvent).payload }));
  }

  /** State and reason of every task run, by task. */
  async tasks(id: string): Promise<Record<string, string>> {
    const rows = await this.store.listTaskRuns(id);
    return Object.fromEntries(rows.map((row) => [row.task, row.reason === null ? row.state : `${row.state} ${row.reason}`]));
  }

  verify(state: boolean): Promise<VerifyReport> {
    return verifyStore(this.store, { traceId: null, state }, () => openSqliteStore({ path: ":memory:", durability: "normal", now: this.time.now }));
  }
}
