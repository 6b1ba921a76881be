// The facade on the opened store: every verb bound to a caller.
import { toIso, version } from "../base/index.ts";
import type { Caller, Status } from "../model/index.ts";
import { streamEvents } from "../trace/index.ts";
import type { AppContext } from "./context.ts";
import type { Facade } from "./facade.ts";
import { backfillTrigger, readTriggerHealth } from "./triggers/index.ts";
import * as verbs from "./verbs/index.ts";

export function bindFacade(context: AppContext, caller: Caller): Facade {
  return {
    status: () => readStatus(context),
    listWorkflows: (query) => verbs.listWorkflows(context, query),
    getWorkflow: (id) => verbs.getWorkflow(context, id),
    listRevisions: (id, page) => verbs.listRevisions(context, id, page),
    getRevision: (id, revision) => verbs.getRevision(context, id, revision),
    applyWorkflow: (request) => verbs.applyWorkflow(context, caller, request),
    setWorkflowEnabled: (id, enabled) => verbs.setWorkflowEnabled(context, caller, { id, enabled }),
    deleteWorkflow: (id) => verbs.deleteWorkflow(context, caller, id),
    validateWorkflow: async (request) => verbs.validateWorkflow(context, request),
    startExecution: (request) => verbs.startExecution(context, caller, request),
    listExecutions: (query) => verbs.listExecutions(context, query),
    getExecution: (request) => verbs.getExecution(context, request),
    listTaskRuns: (query) => verbs.listTaskRuns(context, query),
    listLogs: (query) => verbs.listLogs(context, query),
    streamLogs: (query, signal) => verbs.streamLogs(context, query, signal),
    listArtifacts: (query) => verbs.listArtifacts(context, query),
    openArtifact: (request) => verbs.openArtifact(context, request),
    cancelExecution: (id) => verbs.commandExecution(context, caller, id, { kind: "cancel" }),
    pauseExecution: (id) => verbs.commandExecution(context, caller, id, { kind: "pause" }),
    resumeExecution: (id) => verbs.commandExecution(context, caller, id, { kind: "resume" }),
    restartExecution: (request) => verbs.restartExecution(context, caller, request),
    resolveTask: ({ id, taskId: task, itemIndex = null, as, output = {} }) =>
      verbs.commandExecution(context, caller, id, { kind: "resolve", task, itemIndex, as, output }),
    cleanUpExecutions: (request) => verbs.cleanUpExecutions(context, caller, request),
    listTriggers: (query) => verbs.listTriggers(context, query),
    triggerHealth: (query) => readTriggerHealth(context, query),
    fireTrigger: (request) => verbs.fireTrigger(context, caller, request),
    backfillTrigger: (request) => backfillTrigger(context, caller, request),
    listPlugins: (page) => verbs.listPlugins(context, page),
    getPlugin: (id) => verbs.getPlugin(context, id),
    reloadPlugins: () => verbs.reloadPlugins(context),
    listTraces: (query) => verbs.listTraces(context, query),
    listEvents: (query) => verbs.listEvents(context, query),
    listNewestEvents: (query) => verbs.listNewestEvents(context, query),
    streamEvents: (query, signal) => streamEvents(context, query, signal),
    createKey: (request) => verbs.createKey(context, caller, request),
    listKeys: (page) => verbs.listKeys(context, page),
    revokeKey: (id) => verbs.revokeKey(context, caller, id),
    listSecrets: (page) => verbs.listSecrets(context, page),
    setSecret: (secret) => verbs.setSecret(context, caller, secret),
    getSecret: (name) => verbs.getSecret(context, name),
    deleteSecret: (name) => verbs.deleteSecret(context, caller, name),
    rotateSecretKey: () => verbs.rotateSecretKey(context, caller),
  };
}

async function readStatus(context: AppContext): Promise<Status> {
  const { store, loaded, startedAt } = context;
  const workflows = await store.listWorkflows({ limit: 10_000 });
  return {
    version,
    pid: process.pid,
    startedAt: toIso(startedAt),
    uptimeMs: context.clock.now() - startedAt,
    runtime: !loaded.runtimeDisabled,
    ready: context.isReady(),
    store: { type: store.kind, path: store.path, durability: loaded.config.storage.durability },
    sandbox: context.sandbox(),
    workflows: workflows.length,
    executions: await store.countExecutions(),
    events: await store.lastSeq(),
  };
}
