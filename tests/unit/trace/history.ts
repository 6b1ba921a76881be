// One history that has every event type, with and without each of its optional members. Run this file to record it for the
// version in package.json; what released versions recorded is never written again.
import { join } from "node:path";
import { formatUuidV7, type JsonObject, version } from "../../../src/base/index.ts";
import type { EventDraft } from "../../../src/model/index.ts";
import { openSqliteStore, projectionNames, type Store } from "../../../src/storage/index.ts";
import { definitionOf, Ledger, sentText } from "../../../src/trace/index.ts";

export const historyFolder = join(import.meta.dir, "../../fixtures/history");
const startedAt = Date.parse("2026-01-02T03:04:05.678Z");
const hash = (digit: string) => digit.repeat(64);
const idOf = (number: number) => formatUuidV7(startedAt, number, BigInt(number));
const inTime = (ms: number) => new Date(startedAt + ms).toISOString();

const [system, session, agent, key] = [idOf(1), idOf(2), idOf(3), idOf(4)];
const execution = (number: number) => idOf(100 + number);
const sandbox = { level: "strict", layers: ["namespaces", "seccomp"] };
const principal = { type: "service", id: "server" };

type Step = { trace: string; type: string; payload: JsonObject; over?: Partial<EventDraft> };
const step = (trace: string, type: string, payload: JsonObject, over: Partial<EventDraft> = {}): Step => ({
  trace,
  type: `trace.${type}`,
  payload,
  over,
});

const inSystem = (type: string, payload: JsonObject) => step(system, type, payload);
const ofExecution = (number: number, type: string, payload: JsonObject = {}, over: Partial<EventDraft> = {}) =>
  step(execution(number), type, { execution_id: execution(number), ...payload }, over);
const ofTask = (number: number, type: string, task: string, more: JsonObject = {}) =>
  ofExecution(number, `task.${type}`, { task, item_index: null, attempt: 1, ...more });
const started = (number: number, task: string, more: JsonObject = {}) =>
  ofTask(number, "started", task, { action: "core/run", runtime: "process", permissions: [], sandbox, ...more });
const created = (number: number, more: JsonObject = {}) =>
  ofExecution(number, "execution.created", {
    workflow: "hello",
    revision: 1,
    sha256: hash("a"),
    trigger: { type: "manual", id: null, scheduled_at: null, by: null },
    inputs: {},
    ...more,
  });
const applied = (more: JsonObject) =>
  inSystem("workflow.applied", {
    workflow: "hello",
    revision: 1,
    sha256: hash("a"),
    enabled: true,
    current: true,
    armed: false,
    folder: null,
    new_revision: true,
    new_workflow: true,
    name: null,
    description: null,
    labels: {},
    ...more,
  });
const error = { code: "PLUGIN_EXIT", kind: "failed", message: "It exited with 1", details: { exit: 1 } };
const denial = { kind: "network", target: "db.example.com:5432", rule: "network", grant: 'network: ["db.example.com:5432"]' };
const ended = { duration_ms: 12, log_sha256: hash("b"), log_lines: 3 };

const plugin = (name: string, workflow: string | null) => ({
  plugin: `acme/${name}`,
  version: "1.2.0",
  sha256: hash("7"),
  permissions: { network: ["*.example.com:443"], run: true },
  workflow,
  by: "user:alice",
});

const around: Step[] = [
  step(session, "session.started", { session_id: session, principal, scopes: ["admin"], ttl_seconds: null, expires_at: null }),
  step(agent, "session.started", {
    session_id: agent,
    principal: { type: "agent", id: "bot" },
    scopes: [],
    ttl_seconds: 60,
    expires_at: inTime(60_000),
  }),
  inSystem("server.started", { version: "0.1.0", system_trace_id: system, stack: { platform: "linux" } }),
  inSystem("runtime.error", { code: "INTERNAL", message: "Something" }),
  inSystem("runtime.error", { code: "INTERNAL", message: "Something of it", execution_id: execution(1) }),
  inSystem("key.created", { key_id: key, name: null, principal, roles: ["viewer"], scopes: [], expires_at: null }),
  inSystem("key.created", { key_id: idOf(5), name: "ci", principal, roles: [], scopes: ["trace:read"], expires_at: inTime(1000) }),
  inSystem("key.revoked", { key_id: key }),
  applied({}),
  applied({ revision: 2, sha256: hash("c"), current: false, new_workflow: false }),
  applied({
    revision: 2,
    sha256: hash("c"),
    new_revision: false,
    new_workflow: false,
    armed: true,
    folder: "/srv/hello",
    name: "Hello",
    labels: { team: "x" },
  }),
  applied({ workflow: "old", description: "To be deleted", by: "user:alice" }),
  inSystem("workflow.disabled", { workflow: "hello" }),
  inSystem("workflow.enabled", { workflow: "hello" }),
  inSystem("workflow.deleted", { workflow: "old" }),
  inSystem("trigger.fired", { workflow: "hello", trigger: "nightly", scheduled_at: inTime(0), execution_id: execution(2) }),
  inSystem("trigger.fired", { workflow: "hello", trigger: "push", scheduled_at: null, execution_id: execution(2) }),
  inSystem("trigger.skipped", {
    workflow: "hello",
    trigger: "nightly",
    scheduled_at: inTime(0),
    error: { ...error, code: "QUEUE_FULL", kind: "limit" },
  }),
  inSystem("trigger.missed", { workflow: "hello", trigger: "nightly", scheduled_at: inTime(0) }),
  inSystem("trigger.missed", { workflow: "hello", trigger: "nightly", scheduled_at: inTime(0), until: inTime(60_000) }),
  inSystem("plugin.installed", plugin("report", null)),
  inSystem("plugin.approved", plugin("report", "hello")),
  inSystem("plugin.approved", { ...plugin("report", "hello"), version: "1.3.0", permissions: {} }),
  inSystem("plugin.approved", plugin("report", null)),
  inSystem("plugin.approved", plugin("gone", "hello")),
  inSystem("plugin.removed", { ...plugin("gone", null), approvals: ["hello", ""] }),
  inSystem("secret.written", { name: "TOKEN" }),
  inSystem("secret.rotated", { key_id: "3".repeat(32) }),
  inSystem("secret.deleted", { name: "TOKEN" }),
  inSystem("store.backed_up", { file: "store.tar.gz", sha256: hash("8"), last_seq: 20 }),
  inSystem("store.restored", { sha256: hash("8"), last_seq: 20 }),
];

const runs: Step[] = [
  created(1),
  ofExecution(1, "execution.started"),
  ofTask(1, "expanded", "each", { attempt: null, items: 2, items_sha256: hash("d") }),
  started(1, "a"),
  ofTask(1, "succeeded", "a", { output: { n: 1 } }),
  started(1, "b", { plugin_sha256: hash("e"), image_digest: "sha256:abc" }),
  ofExecution(1, "permission.denied", { task: "b", item_index: null, attempt: 1, ...denial }, { severity: "warn" }),
  ofTask(1, "succeeded", "b", { output: null, ...ended }),
  started(1, "each", { item_index: 0 }),
  ofTask(1, "failed", "each", { item_index: 0, error, will_retry: true, next_attempt_at: inTime(5000), reason: "TASK_FAILED", ...ended }),
  started(1, "each", { item_index: 0, attempt: 2 }),
  ofTask(1, "failed", "each", { item_index: 0, attempt: 2, error, will_retry: false, reason: "TASK_FAILED" }),
  ofTask(1, "skipped", "each", { item_index: 1, attempt: null, reason: "CONDITION_FALSE" }),
  ofExecution(1, "execution.waiting", { reason: "TIMER" }),
  ofExecution(1, "execution.resumed"),
  ofExecution(1, "execution.failed", { error, failed_task: "each", reason: "TASK_FAILED", digest: hash("f") }, { severity: "error" }),
  created(2, {
    trigger: { type: "cron", id: "nightly", scheduled_at: inTime(0), by: "service:server" },
    inputs: { text: "ünï\u2028" },
    parent: { execution_id: execution(1), task: "a" },
    labels: { team: "x" },
    timeout_ms: 1000,
    allow: { network: ["db.example.com:5432"], filesystem: { read: [], write: [] }, env: [], all: false },
  }),
  ofExecution(2, "execution.started"),
  started(2, "w"),
  started(2, "v"),
  ofTask(2, "waiting", "w", { reason: "TIMER", until: inTime(9000) }),
  ofTask(2, "waiting", "v", { reason: "TIMER", until: inTime(9000), times_out: true }),
  ofTask(2, "succeeded", "w", { output: {} }),
  started(2, "gate"),
  ofTask(2, "waiting", "gate", { reason: "APPROVAL_PENDING" }),
  ofTask(2, "cancelled", "gate", { reason: "USER_CANCELLED", by: "user:alice", ...ended }),
  ofTask(2, "cancelled", "never", { attempt: null, reason: "USER_CANCELLED", by: null }),
  ofExecution(2, "execution.cancelled", { by: "user:alice", reason: "USER_CANCELLED", digest: hash("0") }),
  created(3),
  ofExecution(3, "execution.started"),
  ...["lost", "done", "failed", "again"].flatMap((task) => [started(3, task), ofTask(3, "lost", task)]),
  ofTask(3, "resolved", "done", { as: "succeeded", by: "user:alice", output: { n: 2 } }),
  ofTask(3, "resolved", "failed", { as: "failed", by: "user:alice" }),
  ofTask(3, "resolved", "again", { as: "retry", by: "user:alice" }),
  ofExecution(
    3,
    "execution.succeeded",
    { outputs: { n: 2 }, digest: hash("1") },
    {
      parentSpanId: idOf(9),
      atlas: { id: "acme/hello", version: "1.0.0" },
      actor: { type: "agent", id: "bot" },
      artifacts: [{ name: "report", uri: "https://example.org/report", sha256: hash("2"), content_type: "text/html" }],
    },
  ),
];

const masked: Step[] = [
  created(4, { inputs: { token: "***" }, sealed: true }),
  ofExecution(4, "secret.accessed", { task: "a", item_index: null, attempt: null, name: "TOKEN" }),
  ofExecution(4, "execution.started"),
  ofExecution(4, "secret.accessed", { task: "a", item_index: null, attempt: 1, name: "TOKEN" }),
  started(4, "a"),
  ofTask(4, "succeeded", "a", { output: { token: "***" }, sealed: true }),
  ofExecution(4, "execution.succeeded", { outputs: { token: "***" }, sealed: true, digest: hash("4") }),
];

const child = { execution_id: execution(7), workflow: "hello", inputs: { token: "***" }, wait: true };
/** Started by a webhook, paused before it began, and restarted from another one. */
const steered: Step[] = [
  created(6, {
    trigger: { type: "webhook", id: "push", scheduled_at: null, by: null },
    trigger_data: { body: { n: 1 }, headers: { "user-agent": "x" }, query: {} },
    parent: { execution_id: execution(1), task: "a", depth: 1 },
    restarted_from: { execution_id: execution(3), task: null },
  }),
  ofExecution(6, "execution.waiting", { reason: "PAUSED", by: "user:alice" }),
  ofExecution(6, "execution.resumed", { to: "PENDING" }),
  ofExecution(6, "execution.started"),
  ofTask(6, "expanded", "none", { attempt: null, items: 0, items_sha256: hash("7") }),
  ofTask(6, "succeeded", "old", { attempt: null, output: {}, reused_from: execution(3) }),
  started(6, "child"),
  ofTask(6, "waiting", "child", { reason: "CHILD_RUNNING", child }),
  ofTask(6, "succeeded", "child", { output: {} }),
  ...["hidden", "failed"].flatMap((task) => [started(6, task), ofTask(6, "lost", task)]),
  ofTask(6, "resolved", "hidden", { as: "succeeded", by: "user:alice", output: { token: "***" }, sealed: true }),
  ofTask(6, "resolved", "failed", { as: "failed", by: "user:alice", error }),
  ofExecution(6, "execution.succeeded", { outputs: {}, digest: hash("6") }),
];

/** Not in the trace that a store has for this: what it removes is the row alone. */
const removed: Step[] = [
  created(5),
  ofExecution(5, "execution.succeeded", { outputs: {}, digest: hash("5") }),
  inSystem("ledger.pruned", {
    trace_id: execution(5),
    subject: "execution",
    subject_id: execution(5),
    count: 2,
    first_seq: 1,
    last_seq: 2,
    last_hash: hash("6"),
    reason: "retention",
    by: "service:server",
  }),
];

const end: Step[] = [
  step(agent, "session.ended", { session_id: agent, reason: "expired", total_events: 1, resolutions: 0, actions_executed: 0 }),
  inSystem("server.stopped", { reason: "stop" }),
];

function toDraft({ trace, type, payload, over }: Step, index: number): EventDraft {
  return {
    eventId: idOf(1000 + index),
    type,
    traceId: trace,
    spanId: trace,
    parentSpanId: null,
    sessionId: session,
    actor: { type: "runtime", id: "engine" },
    severity: definitionOf(type).severity,
    time: startedAt + index,
    payload,
    ...over,
  };
}

/** Writes the history into a store, one commit an event. */
export async function writeHistory(store: Store): Promise<void> {
  const ledger = new Ledger({ store, schedule: (work) => void setImmediate(work) });
  for (const [index, each] of [...around, ...runs, ...masked, ...steered, ...removed, ...end].entries()) {
    const subject = each.trace === system ? "system" : each.trace === session || each.trace === agent ? "session" : "execution";
    await ledger.commit({ events: [toDraft(each, index)], opens: new Map([[each.trace, { subject, subjectId: each.trace }]]) });
  }
}

export async function dumpTables(store: Store): Promise<Record<string, unknown[]>> {
  const tables: Record<string, unknown[]> = {};
  for (const table of projectionNames) tables[table] = await store.dump(table, null, 10_000);
  return tables;
}

export function openMemory(): Store {
  return openSqliteStore({ path: ":memory:", durability: "normal", now: startedAt });
}

if (import.meta.main) {
  const store = openMemory();
  await writeHistory(store);
  const lines = (await store.listEvents({ limit: 10_000 })).map(sentText);
  await Bun.write(join(historyFolder, `${version}.jsonl`), `${lines.join("\n")}\n`);
  await Bun.write(join(historyFolder, `${version}.tables.json`), `${JSON.stringify(await dumpTables(store), null, 1)}\n`);
  await store.close();
}
