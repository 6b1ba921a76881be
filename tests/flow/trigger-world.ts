// Servers with cron triggers on one store, in fake time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppContext } from "../../src/app/context.ts";
import { createRegistry } from "../../src/app/registry.ts";
import { ServiceSession } from "../../src/app/session.ts";
import { RunningCleanups } from "../../src/app/cleanup/index.ts";
import { Scheduler } from "../../src/app/triggers/index.ts";
import type { JsonObject } from "../../src/base/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import type { EngineDeps } from "../../src/engine/index.ts";
import type { Caller } from "../../src/model/index.ts";
import type { RowOf, StoredEvent } from "../../src/storage/index.ts";
import { caller } from "./world.ts";
import { type Process, World } from "./world.ts";

export type TriggerServer = { process: Process; scheduler: Scheduler; context: AppContext; caller: Caller; stop(): Promise<void> };

export class TriggerWorld extends World {
  readonly #folder = mkdtempSync(join(tmpdir(), "triggers-"));
  readonly #living = new Set<TriggerServer>();
  readonly #loaded = loadConfig({ flags: { data: this.#folder }, env: { HOME: this.#folder }, cwd: this.#folder });

  /** A server that has taken up its triggers. */
  async serve(overrides: Partial<EngineDeps> = {}): Promise<TriggerServer> {
    const server = await this.context(overrides);
    this.#living.add(server);
    await this.pump(server.process.engine.start({ takesAll: true }));
    await this.pump(server.scheduler.start());
    await this.time.settle();
    return server;
  }

  /** All of a server but its start. */
  async context(overrides: Partial<EngineDeps> = {}): Promise<TriggerServer> {
    const process = this.launch(overrides);
    const { ledger, engine, vault, name } = process;
    const { clock } = this.time;
    const { store, ids } = this;
    const principal = { type: "service" as const, id: "server" };
    const owners = { isDead: () => true };
    const session = new ServiceSession({ store, ledger, clock, ids, owner: name, owners, principal });
    const context: AppContext = {
      loaded: this.#loaded,
      store,
      ledger,
      vault,
      engine,
      clock,
      ids,
      timers: this.time.timersOf(process.owner),
      session,
      systemTraceId: await store.systemTraceId(),
      startedAt: this.time.now,
      registry: createRegistry(this.#loaded),
      cleanups: new RunningCleanups(),
      sandbox: () => {
        throw new Error("no sandbox is asked for");
      },
      isReady: () => true,
    };
    const service: Caller = { ...caller, principal, sessionId: session.id };
    const hasPeers = async () => [...this.#living].some((other) => other.process !== process && !other.process.owner.isDead);
    const scheduler = new Scheduler({ context, caller: service, hasPeers, onTrouble: (text) => void process.troubles.push(text) });
    const stop = async () => {
      await this.pump(scheduler.stop());
      await this.pump(engine.stop(0));
      this.kill(server);
    };
    const server: TriggerServer = { process, scheduler, context, caller: service, stop };
    return server;
  }

  kill(server: TriggerServer): void {
    this.#living.delete(server);
    this.crash(server.process);
  }

  /** A workflow with one trigger. */
  cron(id: string, trigger: JsonObject, more: JsonObject = {}): Promise<{ workflow: string; revision: number }> {
    return this.apply({ id, triggers: [{ id: "tick", type: "cron", ...trigger }], tasks: [{ id: "a", run: "true" }], ...more });
  }

  /** Scheduled times of a workflow's executions, oldest first. */
  async started(workflow: string): Promise<string[]> {
    const rows = await this.store.listExecutions({ workflow, limit: 100_000 });
    return rows.map((row) => new Date(row.scheduled_at ?? 0).toISOString()).toSorted();
  }

  async runs(workflow: string, trigger = "tick"): Promise<RowOf<"due_runs">[]> {
    const states = ["due", "started", "skipped", "missed"] as const;
    return this.store.listDueRuns({ workflow, trigger, states, order: "asc", limit: 10_000 });
  }

  async triggerEvents(kind: string): Promise<(StoredEvent & { payload: JsonObject })[]> {
    return (await this.events(await this.store.systemTraceId())).filter(({ type }) => type === `trace.trigger.${kind}`);
  }

  async close(): Promise<void> {
    for (const server of this.#living) this.crash(server.process);
    await this.store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
