// The composition root: opens the store of a configuration and wires everything to it.
import { join } from "node:path";
import { toErrorBody, version } from "../base/index.ts";
import { ensureDataDir, environment } from "../config/index.ts";
import { Engine, type TaskInvoker } from "../engine/index.ts";
import { type Caller, type Principal, scopes, type TaskDefinition } from "../model/index.ts";
import {
  type ContainerRunner,
  disableCoreDumps,
  keepProbes,
  type PluginRegistry,
  selfTest,
  sweepSocketFolders,
  Workspaces,
} from "../plugins/index.ts";
import type { Vault } from "../secrets/index.ts";
import { openSqliteStore, type Store } from "../storage/index.ts";
import { Ledger, verifyStore } from "../trace/index.ts";
import { ensureAdminKey } from "./admin-key.ts";
import type { App, AppOptions } from "./app.ts";
import { createBackupAdmin } from "./backup/admin.ts";
import { finishRestore } from "./backup/moves.ts";
import { Authenticator } from "./authenticator.ts";
import { type AppContext, systemEvent, systemOpens } from "./context.ts";
import { Retention, RunningCleanups } from "./cleanup/index.ts";
import { bindFacade } from "./local-facade.ts";
import { runOneShot } from "./one-shot.ts";
import { FileWatches, Scheduler } from "./triggers/index.ts";
import { createActionRunner } from "./action-runner.ts";
import { checkMasterKey } from "./key-check.ts";
import { createPluginAdmin } from "./plugin-admin.ts";
import { createRegistry } from "./registry.ts";
import { reportSandbox } from "./sandbox-report.ts";
import { seedKeys } from "./seed-keys.ts";
import { ServiceSession } from "./session.ts";
import { osUserName, processOwner, systemClock, systemIds, systemOwners, systemTimers } from "./system.ts";
import { AppInvoker } from "./task-invoker.ts";
import { openVault } from "./vault.ts";
import { deliverHook } from "./verbs/hooks.ts";

/** @throws STORE_UNAVAILABLE, SCHEMA_TOO_NEW, CONFIG_INVALID */
export async function openApp(options: AppOptions): Promise<App> {
  const { loaded } = options;
  disableCoreDumps();
  ensureDataDir(loaded);
  finishRestore(loaded.storePath);
  const store = openSqliteStore({ path: loaded.storePath, durability: loaded.config.storage.durability, now: systemClock.now() });
  try {
    return await wire(options, store);
  } catch (cause) {
    await store.close();
    throw cause;
  }
}

async function wire(options: AppOptions, store: Store): Promise<App> {
  const { loaded, mode } = options;
  let isReady = false;
  keepProbes(join(loaded.dataDir, "runtime"), systemClock);
  const ledger = new Ledger({ store, schedule: systemTimers.soon });
  const vault = openVault(loaded, store, (sideChanges) => ledger.commit({ events: [], sideChanges }));
  const owner = processOwner(systemIds.next());
  const principal: Principal = { type: "user", id: osUserName() };
  const sessionPrincipal: Principal = mode === "server" ? { type: "service", id: "server" } : principal;
  const session = new ServiceSession({ store, ledger, clock: systemClock, ids: systemIds, owner, owners: systemOwners, principal: sessionPrincipal });
  const workspaces = new Workspaces(join(loaded.dataDir, "work"), onTrouble);
  const registry = createRegistry(loaded);
  const systemTraceId = await store.systemTraceId();
  const runner = createActionRunner({ loaded, store, owner, storeId: systemTraceId, onTrouble });
  const actionsOf = async (executionId: string) => (await loadDefinition(engine, store, executionId)).map((task) => task.action);
  const { containers, hasGroups } = runner;
  const invoker = new AppInvoker({ loaded, store, registry, workspaces, containers, actionsOf, hasGroups, run: (call) => runner.run(call) });
  const engine: Engine = createEngine({ options, store, ledger, vault, invoker, owner, registry });
  const context: AppContext = {
    loaded,
    store,
    ledger,
    vault,
    engine,
    ...system,
    session,
    systemTraceId,
    startedAt: systemClock.now(),
    registry,
    cleanups: new RunningCleanups(),
    sandbox: () => reportSandbox(loaded.config.plugins.sandbox),
    isReady: () => isReady,
  };
  const local: Caller = { principal, scopes: new Set(scopes), sessionId: session.id, keyId: null };
  const authenticator = new Authenticator(context);
  const service: Caller = { ...local, principal: sessionPrincipal };
  if (mode === "server") await startServer(context, service, workspaces);
  if (mode !== "command") await engine.start({ takesAll: mode === "server" });
  const tested = mode === "server" ? testSandbox(context, service) : Promise.resolve();
  if (mode === "server") removeLeftovers(runner.containers);
  isReady = true;
  const chores = openChores(context, service, mode === "server" && !loaded.runtimeDisabled);
  return {
    loaded,
    get ready() {
      return isReady;
    },
    facade: (caller) => bindFacade(context, caller),
    localCaller: () => local,
    authenticate: (key) => authenticator.authenticate(key),
    isKeyLive: (keyId) => authenticator.isLive(keyId),
    ensureAdminKey: () => ensureAdminKey(context, local, { isLive: async (key) => (await authenticator.authenticate(key)) !== null, onTrouble }),
    deliverHook: (request) => deliverHook(context, service, request),
    runOneShot: (request) =>
      runOneShot(context, local, request, { keep: (id) => workspaces.keep(id), observe: (id, observer) => invoker.observe(id, observer) }),
    plugins: createPluginAdmin(context, local),
    backups: createBackupAdmin(context, local),
    verify: (request) => verifyStore(store, request, openFresh),
    close: async (how) => {
      isReady = false;
      await chores.stop();
      await engine.stop(how?.drainMs ?? 0);
      await runner.close();
      await tested;
      if (mode === "server") await recordStop(context, service);
      await session.end("closed");
      await store.close();
    },
  };
}

/** Whether another server has this store open: sessions of dead ones were ended when this one started. */
async function hasOtherServers({ store, session }: AppContext): Promise<boolean> {
  const open = await store.listOpenSessions();
  return open.some((one) => one.principal_type === "service" && one.session_id !== session.id);
}

const system = { clock: systemClock, ids: systemIds, timers: systemTimers };

async function recordStop(context: AppContext, caller: Caller): Promise<void> {
  await context.ledger.commit({ events: [systemEvent(context, caller, { type: "trace.server.stopped", payload: { reason: "stop" } })] });
}

/** What a server does by itself: it fires triggers, and removes what is old. */
function openChores(context: AppContext, caller: Caller, doesStart: boolean): { stop(): Promise<void> } {
  const retention = new Retention(context, caller, onTrouble);
  const files = new FileWatches({ context, caller, onTrouble });
  const scheduler = new Scheduler({ context, caller, hasPeers: () => hasOtherServers(context), onTrouble, files });
  if (doesStart) {
    retention.start();
    void scheduler.start();
  }
  return {
    async stop() {
      retention.stop();
      await scheduler.stop();
      await context.cleanups.stop();
    },
  };
}

/** Of processes that were killed. Where no container engine answers there is nothing to remove. */
function removeLeftovers(containers: ContainerRunner): void {
  void containers.removeLeftovers((one) => !systemOwners.isDead(one.owner)).catch(() => 0);
  sweepSocketFolders();
}

type EngineParts = { options: AppOptions; store: Store; ledger: Ledger; vault: Vault; invoker: TaskInvoker; owner: string; registry: PluginRegistry };

function createEngine({ options, registry, ...parts }: EngineParts): Engine {
  const { config, runtimeDisabled } = options.loaded;
  return new Engine({
    ...parts,
    clock: systemClock,
    ids: systemIds,
    random: Math.random,
    timers: systemTimers,
    owners: systemOwners,
    runs: options.mode === "oneShot" || (options.mode === "server" && !runtimeDisabled),
    // A command is over before a task would be: what it makes possible is for who runs next.
    limits:
      options.mode === "command"
        ? { executions: 0, tasks: 0 }
        : { executions: config.execution.maxConcurrentWorkflows, tasks: config.execution.maxConcurrentTasks },
    isIdempotent: (action) => registry.describe(action)?.idempotent ?? false,
    environment: environment(),
    onTrouble,
  });
}

function onTrouble(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Every task of the revision that an execution runs. */
async function loadDefinition(engine: Engine, store: Store, executionId: string): Promise<TaskDefinition[]> {
  const row = await store.findExecution(executionId);
  if (row === null) return [];
  const { plan } = await engine.plans.load(row.workflow, row.revision);
  return [...plan.tasks.values()].map((task) => task.definition);
}

/** Beside the server's work: what an attack gets through is not relied on from then on, and is said in log and trace. */
async function testSandbox(context: AppContext, caller: Caller): Promise<void> {
  const { level } = context.sandbox();
  if (level === "off" || level === "none") return;
  try {
    const failed = (await selfTest()).filter((result) => !result.held);
    for (const { layer, attack, detail } of failed) {
      const message = `The sandbox's layer ${layer} does not hold here: the self-test's attack "${attack}" ${detail}`;
      onTrouble(message);
      const payload = { code: "SANDBOX_UNAVAILABLE", message };
      await context.ledger.commit({ events: [systemEvent(context, caller, { type: "trace.runtime.error", payload })] });
    }
  } catch (cause) {
    onTrouble(`Cannot test the sandbox: ${toErrorBody(cause).message}`);
  }
}

function openFresh(): Store {
  return openSqliteStore({ path: ":memory:", durability: "normal", now: systemClock.now() });
}

async function startServer(context: AppContext, caller: Caller, workspaces: Workspaces): Promise<void> {
  await context.session.endLost();
  context.session.ensure();
  const stack = { platform: process.platform, arch: process.arch, store: context.store.kind, sandbox: context.sandbox().level };
  const payload = { version, system_trace_id: context.systemTraceId, stack };
  await context.ledger.commit({ events: [systemEvent(context, caller, { type: "trace.server.started", payload })], opens: systemOpens(context) });
  await checkMasterKey(context, caller, onTrouble);
  await seedKeys(context, caller, onTrouble);
  await context.store.sweepBlobs(context.clock.now());
  await sweepWorkspaces(context.store, workspaces);
}

/** Folders that a killed process left behind: of executions that ended, or were never stored. */
async function sweepWorkspaces(store: Store, workspaces: Workspaces): Promise<void> {
  for (const id of workspaces.list()) {
    const execution = await store.findExecution(id);
    if (execution === null || execution.ended_at !== null) workspaces.close(id);
  }
}
