// An engine on a store in a folder of its own, with real time and real processes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JsonObject, sha256Hex } from "../../src/base/index.ts";
import { createActionRunner } from "../../src/app/action-runner.ts";
import { createRegistry } from "../../src/app/registry.ts";
import { AppInvoker } from "../../src/app/task-invoker.ts";
import { systemClock, systemIds, systemOwners, systemTimers } from "../../src/app/system.ts";
import { loadConfig } from "../../src/config/index.ts";
import { Engine, type SubmitRequest } from "../../src/engine/index.ts";
import { findCoreAction, type TraceEvent } from "../../src/model/index.ts";
import { Workspaces } from "../../src/plugins/index.ts";
import { createVault } from "../../src/secrets/index.ts";
import { openSqliteStore, type RowOf, type Store, type StoredLog } from "../../src/storage/index.ts";
import { draftEvent, Ledger, restorePayload } from "../../src/trace/index.ts";
import { caller } from "./world.ts";

const graceMs = 300;
const patienceMs = 20_000;

export type Finished = {
  id: string;
  row: RowOf<"executions">;
  /** Outputs and errors by task. */
  outputs: Record<string, JsonObject | null>;
  errors: Record<string, { code: string; message: string; details?: JsonObject; hint?: string } | null>;
  events: TraceEvent[];
  attempts: RowOf<"attempts">[];
  logs: StoredLog[];
};

export class RealEngine {
  readonly folder: string;
  readonly store: Store;
  readonly engine: Engine;
  readonly ledger: Ledger;
  readonly #runner: ReturnType<typeof createActionRunner>;
  #revision = 0;

  /** For folders of workflows: nothing in the data folder is ever granted. */
  readonly workflows = mkdtempSync(join(tmpdir(), "autokestra-workflows-"));

  /** `folder`: of an engine that was closed, to go on with its store. */
  constructor(folder = mkdtempSync(join(tmpdir(), "autokestra-flow-")), sandbox: "enforce" | "off" = "enforce") {
    this.folder = folder;
    this.store = openSqliteStore({ path: join(folder, "store.db"), durability: "normal", now: systemClock.now() });
    this.ledger = new Ledger({ store: this.store, schedule: systemTimers.soon });
    const loaded = loadConfig({
      flags: { data: folder, set: { "execution.killGrace": `${graceMs}ms`, "plugins.sandbox": sandbox, "storage.path": join(folder, "store.db") } },
      env: { HOME: folder },
      cwd: folder,
    });
    const onTrouble = (text: string) => console.error(text);
    const workspaces = new Workspaces(join(folder, "work"));
    const { store } = this;
    this.#runner = createActionRunner({ loaded, store, owner: "test", storeId: "test", onTrouble });
    const { run, containers, hasGroups } = this.#runner;
    const registry = createRegistry(loaded);
    const vault = createVault({
      store,
      commit: (sideChanges) => this.ledger.commit({ events: [], sideChanges }),
      keysDir: join(folder, "keys"),
      dataDir: folder,
      secretKey: null,
      secretKeyOld: null,
      clock: systemClock,
      onTrouble,
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    });
    this.engine = new Engine({
      store: this.store,
      ledger: this.ledger,
      vault,
      clock: systemClock,
      ids: systemIds,
      random: () => 0.5,
      timers: systemTimers,
      owners: systemOwners,
      invoker: new AppInvoker({ loaded, store, registry, workspaces, containers, actionsOf: async () => [], hasGroups, run }),
      owner: `test ${systemIds.next()}`,
      runs: true,
      limits: { executions: 10, tasks: 10 },
      environment: { AUTOKESTRA_FLOW: "never", FLOW_GRANTED: "granted", FLOW_OTHER: "other" },
      isIdempotent: (action) => findCoreAction(action)?.idempotent ?? false,
      onTrouble,
    });
  }

  async close(how: { keep?: boolean } = {}): Promise<void> {
    await this.engine.stop(0);
    await this.#runner.close();
    await this.store.close();
    rmSync(this.workflows, { recursive: true, force: true });
    if (how.keep !== true) rmSync(this.folder, { recursive: true, force: true });
  }

  async apply(definition: JsonObject, folder: string | null = null): Promise<{ workflow: string; revision: number }> {
    const workflow = String(definition["id"]);
    const source = JSON.stringify(definition);
    const sha256 = sha256Hex(source);
    this.#revision += 1;
    const payload = {
      workflow,
      revision: this.#revision,
      sha256,
      enabled: true,
      current: false,
      armed: false,
      folder,
      new_revision: true,
      new_workflow: false,
      name: null,
      description: null,
      labels: {},
    };
    const traceId = systemIds.next();
    const place = { traceId, spanId: traceId, parentSpanId: null, sessionId: caller.sessionId, actor: { type: "user" as const, id: "tester" } };
    const event = draftEvent({ clock: systemClock, ids: systemIds }, place, { type: "trace.workflow.applied", payload });
    const blobs = [{ sha256, bytes: new TextEncoder().encode(source), contentType: "application/json" }];
    await this.ledger.commit({ events: [event], opens: new Map([[traceId, { subject: "system" as const, subjectId: traceId }]]), blobs });
    return { workflow, revision: this.#revision };
  }

  async submit(target: { workflow: string; revision: number }, more: Partial<SubmitRequest> = {}): Promise<string> {
    const trigger = { type: "manual", id: null, scheduled_at: null, by: "user:tester" };
    const request = { ...target, inputs: {}, trigger, labels: {}, executionId: systemIds.next(), timeoutMs: null, caller, sideChanges: [], ...more };
    return (await this.engine.submit(request)).executionId;
  }

  /** Runs one task, or several, to the end of their execution; `more`: further keys of the workflow. */
  async run(tasks: JsonObject | JsonObject[], folder: string | null = null, more: JsonObject = {}): Promise<Finished> {
    const list = (Array.isArray(tasks) ? tasks : [tasks]).map((task, index): JsonObject => Object.assign({ id: `t${index}` }, task));
    return this.finish(await this.submit(await this.apply({ id: "flow", tasks: list, ...more }, folder)));
  }

  async finish(id: string): Promise<Finished> {
    const last = Date.now() + patienceMs;
    let row = await this.store.findExecution(id);
    while (row === null || row.ended_at === null) {
      if (Date.now() > last) throw new Error(`execution ${id} does not end: ${JSON.stringify(row)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      row = await this.store.findExecution(id);
    }
    const outputs: Finished["outputs"] = {};
    const errors: Finished["errors"] = {};
    for (const run of await this.store.listTaskRuns(id)) {
      // Large values stand in a blob beside the row.
      const { output } = await restorePayload(this.store, { output: JSON.parse(run.output ?? "null") as JsonObject });
      outputs[run.task] = output as JsonObject | null;
      errors[run.task] = JSON.parse(run.error ?? "null") as Finished["errors"][string];
    }
    return {
      id,
      row,
      outputs,
      errors,
      events: (await this.store.listEvents({ traceId: id, limit: 100_000 })).map((event) => JSON.parse(event.body) as TraceEvent),
      attempts: await this.store.listAttempts(id),
      logs: await this.store.listLogs({ executionId: id, order: "asc", limit: 100_000 }),
    };
  }
}
