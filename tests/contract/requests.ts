// What the suites of the store write: traces, drafts, rows and requests with as little said as possible. Ids and times repeat.
import { expect } from "bun:test";
import { formatUuidV7 } from "../../src/base/index.ts";
import type { EventDraft, Subject } from "../../src/model/index.ts";
import type { CommitOutcome, CommitRequest, LogLine, RowChange, RowOf, Store } from "../../src/storage/index.ts";

export const startedAt = Date.parse("2026-01-02T03:04:05.678Z");

let count = 0;
export function nextId(): string {
  count += 1;
  return formatUuidV7(startedAt + count, count & 0xfff, BigInt(count) * 7919n);
}

export type TestTrace = { traceId: string; spanId: string; sessionId: string; subject: Subject };

export function newTrace(subject: Subject = "execution"): TestTrace {
  return { traceId: nextId(), spanId: nextId(), sessionId: nextId(), subject };
}

export function draftOf(trace: TestTrace, over: Partial<EventDraft> = {}): EventDraft {
  return {
    eventId: nextId(),
    type: "trace.runtime.error",
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: null,
    sessionId: trace.sessionId,
    actor: { type: "runtime", id: "engine" },
    severity: "info",
    time: startedAt,
    payload: { code: "INTERNAL", message: "something" },
    ...over,
  };
}

export function requestOf(events: readonly EventDraft[], over: Partial<CommitRequest> = {}): CommitRequest {
  return { events, opens: new Map(), changes: [], ...over };
}

/** Opens the trace with its first event. */
export function openingOf(trace: TestTrace, over: Partial<CommitRequest> = {}, draft: Partial<EventDraft> = {}): CommitRequest {
  return requestOf([draftOf(trace, draft)], { opens: new Map([[trace.traceId, { subject: trace.subject, subjectId: trace.traceId }]]), ...over });
}

/** Opens a trace in the store. */
export async function openTrace(store: Store, subject: Subject = "execution"): Promise<TestTrace> {
  const trace = newTrace(subject);
  expect(outcomeOf(await store.commit([openingOf(trace)]))).toBe("ok");
  return trace;
}

/** `ok`, or the code of the refusal. */
export function outcomeOf(outcomes: readonly CommitOutcome[], index = 0): string {
  const outcome = outcomes[index];
  if (outcome === undefined) return "none";
  return outcome.ok ? "ok" : outcome.error.code;
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

export function executionRow(over: Partial<RowOf<"executions">> = {}): RowOf<"executions"> {
  return {
    execution_id: nextId(),
    session_id: nextId(),
    workflow: "hello",
    revision: 1,
    sha256: "0".repeat(64),
    state: "PENDING",
    reason: null,
    trigger_type: "manual",
    trigger_id: null,
    scheduled_at: null,
    by: "user:alice",
    parent: null,
    labels: "{}",
    inputs: "{}",
    outputs: null,
    error: null,
    digest: null,
    created_at: startedAt,
    started_at: null,
    ended_at: null,
    ...over,
  };
}

export function workflowRow(over: Partial<RowOf<"workflows">> = {}): RowOf<"workflows"> {
  return {
    id: "hello",
    name: null,
    description: null,
    labels: "{}",
    enabled: 1,
    armed: 0,
    revision: 1,
    sha256: "0".repeat(64),
    folder: null,
    created_at: startedAt,
    updated_at: startedAt,
    ...over,
  };
}

export function keyRow(over: Partial<RowOf<"api_keys">> = {}): RowOf<"api_keys"> {
  return {
    key_id: nextId(),
    name: null,
    principal_type: "user",
    principal_id: "alice",
    roles: "[]",
    scopes: "[]",
    created_at: startedAt,
    expires_at: null,
    revoked_at: null,
    ...over,
  };
}

export function insertOf(row: RowOf<"executions">): RowChange {
  return { table: "executions", op: "insert", row };
}

export function logOf(trace: TestTrace, over: Partial<LogLine> = {}): LogLine {
  return {
    executionId: trace.traceId,
    task: "a",
    itemIndex: null,
    attempt: 1,
    time: startedAt,
    level: "INFO",
    source: "stdout",
    message: "a line",
    metadata: null,
    ...over,
  };
}
