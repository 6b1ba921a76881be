// Verbs on executions: start, list, show, cancel, wait.
import { fail, isCoded, isUuid, isUuidV7, type JsonObject, limits, toErrorBody, toIJson, toIso } from "../../base/index.ts";
import {
  type Caller,
  type Execution,
  type ExecutionItem,
  type ExecutionList,
  executionStates,
  isTerminal,
  principalText,
  type Restarted,
  type Started,
  type TaskRunList,
  taskStates,
  type TraceEvent,
} from "../../model/index.ts";
import type { ExecutionSelection, RowOf } from "../../storage/index.ts";
import { openBell, readColumn, sentText } from "../../trace/index.ts";
import { checkInputs, sensitiveTexts, unavailableParts } from "../../workflow/index.ts";
import type { Command } from "../../engine/index.ts";
import type { AppContext } from "../context.ts";
import { pageSize, parseLabel, readCursor, writeCursor } from "../cursor.ts";
import type { CommandAnswer, ExecutionQuery, StartAnswer, StartRequest, TaskRunQuery } from "../facade.ts";
import { firstRun, pageTaskRuns, type RunPlace, toExecutionItem } from "./execution-form.ts";
import { findFirstStart, idempotencyOf } from "./idempotency.ts";
import { requireActions } from "./plugins.ts";
import { requireWorkflow } from "./workflows.ts";

export async function startExecution(context: AppContext, caller: Caller, wish: StartRequest): Promise<StartAnswer> {
  const request = { ...wish, inputs: storableInputs(wish) };
  const before = await findFirstAnswer(context, caller, request);
  if (before !== null) return before;
  if (request.idempotencyKey !== undefined) await context.store.sweepIdempotency(context.clock.now());
  const executionId = checkNewId(context, request.executionId);
  try {
    const started = await submit(context, caller, request, executionId);
    const execution = request.waitMs === undefined ? null : await waitForEnd(context, executionId, request.waitMs);
    return { started: execution === null ? started : { executionId, state: execution.execution.state }, execution };
  } catch (cause) {
    // The same key may have come twice at the same moment: the other call's answer then holds.
    const raced = isCoded(cause, "ALREADY_EXISTS") ? await findFirstAnswer(context, caller, request) : null;
    if (raced !== null) return raced;
    throw cause;
  }
}

/** @throws INPUT_INVALID for what is not I-JSON: it came from outside, and nothing of it may reach a hash */
function storableInputs(request: StartRequest): JsonObject {
  try {
    return toIJson(request.inputs) as JsonObject;
  } catch (cause) {
    throw fail("INPUT_INVALID", `Cannot start "${request.workflow}": ${toErrorBody(cause).message}`, { cause });
  }
}

function checkNewId(context: AppContext, id: string | undefined): string {
  if (id !== undefined && !isUuidV7(id)) throw fail("INPUT_INVALID", `Cannot start an execution with id "${id}": it is not a UUID of version 7`);
  return id ?? context.ids.next();
}

/** @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, NOT_AVAILABLE_YET, PLUGIN_NOT_FOUND, MANIFEST_INVALID, INPUT_INVALID, QUEUE_FULL, ALREADY_EXISTS */
async function submit(context: AppContext, caller: Caller, request: StartRequest, executionId: string): Promise<Started> {
  const row = await requireWorkflow(context, request.workflow, "run");
  if (row.enabled === 0)
    throw fail("WORKFLOW_DISABLED", `Cannot run workflow "${request.workflow}": it is disabled`, { hint: `workflow enable ${request.workflow}` });
  const trigger = { type: "manual", id: null, scheduled_at: null, by: principalText(caller.principal) };
  const revision = request.revision ?? row.revision;
  return submitRevision(context, caller, {
    workflow: request.workflow,
    revision,
    inputs: request.inputs,
    labels: request.labels ?? {},
    executionId,
    timeoutMs: null,
    trigger,
    ...(await idempotencyOf(context, caller, { request, revision, executionId })),
  });
}

export type RevisionStart = Omit<Parameters<AppContext["engine"]["submit"]>[0], "caller">;

/** Checks what only a start can know, then hands over to the engine. */
export async function submitRevision(context: AppContext, caller: Caller, start: RevisionStart): Promise<Started> {
  const { plan } = await context.engine.plans.load(start.workflow, start.revision);
  const missing = unavailableParts(plan.definition, (name) => context.registry.describe(name));
  if (missing.length > 0)
    throw fail("NOT_AVAILABLE_YET", `Cannot run workflow "${start.workflow}": ${missing[0]?.what ?? "a part of it"} is not available yet`, {
      details: { parts: missing },
      hint: "`workflow validate` lists every part that this version cannot run.",
    });
  requireActions(context, plan.definition);
  const inputs = checkedInputs(plan.definition, start.inputs);
  const timeoutMs = start.timeoutMs ?? (plan.definition.timeoutMs === null ? defaultTimeout(context) : null);
  context.session.ensure();
  return context.engine.submit({ ...start, inputs, timeoutMs, caller });
}

function defaultTimeout(context: AppContext): number | null {
  const seconds = context.loaded.config.execution.defaultTimeoutSeconds;
  return seconds === null ? null : seconds * 1000;
}

function checkedInputs(definition: Parameters<typeof checkInputs>[0], given: JsonObject): JsonObject {
  const size = Buffer.byteLength(JSON.stringify(given));
  if (size > limits.inputBytesMax)
    throw fail("INPUT_INVALID", `Cannot start "${definition.id}": its inputs have ${size} bytes, more than ${limits.inputBytesMax}`);
  const { inputs, diagnostics } = checkInputs(definition, given);
  if (diagnostics.length > 0)
    throw fail("INPUT_INVALID", `Cannot start "${definition.id}": ${diagnostics[0]?.message ?? "its inputs do not fit"}`, {
      details: { diagnostics },
    });
  const texts = new Set(sensitiveTexts(definition, inputs)).size;
  if (texts > limits.sensitiveTextsMax)
    throw fail(
      "INPUT_INVALID",
      `Cannot start "${definition.id}": its sensitive inputs hold ${texts} different texts, more than ${limits.sensitiveTextsMax}`,
      {
        hint: "Give what is secret as one text, such as JSON, or as a secret of the server.",
      },
    );
  return inputs;
}

async function findFirstAnswer(context: AppContext, caller: Caller, request: StartRequest): Promise<StartAnswer | null> {
  const executionId = await findFirstStart(context, caller, request);
  if (executionId === null) return null;
  const { waitMs } = request;
  // A repeat that waits gets the end, as the first would have; one that does not gets what the first got.
  const execution = waitMs === undefined ? null : await waitForEnd(context, executionId, waitMs);
  const state = execution?.execution.state ?? (await context.store.findExecution(executionId))?.state ?? "PENDING";
  return { started: { executionId, state }, execution };
}

/** The execution when it is terminal within the time, else null. */
async function waitForEnd(context: AppContext, id: string, waitMs: number): Promise<Execution | null> {
  const over = new AbortController();
  const timer = context.timers.set(context.clock.now() + waitMs, () => over.abort());
  const bell = openBell(context.ledger, over.signal);
  try {
    for (;;) {
      const ring = bell.next();
      const row = await context.store.findExecution(id);
      if (row !== null && isTerminal(row.state)) return await readExecution(context, row, []);
      // It is not there any more: it had ended, and was removed.
      if (row === null || over.signal.aborted) return null;
      await ring;
    }
  } finally {
    context.timers.clear(timer);
    bell.close();
  }
}

export async function listExecutions(context: AppContext, query: ExecutionQuery): Promise<ExecutionList> {
  const size = pageSize(query.limit);
  const selection: ExecutionSelection = { limit: size + 1 };
  if (query.workflow !== undefined) selection.workflow = query.workflow;
  if (query.state !== undefined) selection.states = checkStates(query.state, executionStates);
  if (query.trigger !== undefined) selection.trigger = query.trigger;
  if (query.since !== undefined) selection.since = query.since;
  if (query.until !== undefined) selection.until = query.until;
  if (query.label !== undefined) selection.label = parseLabel(query.label);
  if (query.offset !== undefined) selection.offset = query.offset;
  if (query.cursor !== undefined) {
    const [createdAt, executionId] = readCursor(query.cursor, ["number", "string"]);
    selection.before = { createdAt: Number(createdAt), executionId: String(executionId) };
  }
  const rows = await context.store.listExecutions(selection);
  const page = rows.slice(0, size);
  const last = page.at(-1);
  const nextCursor = rows.length > size && last !== undefined ? writeCursor([last.created_at, last.execution_id]) : null;
  return { executions: page.map((row) => shown(context, toExecutionItem(row))), nextCursor };
}

/** Shows what has no event: an accepted execution that waits for a place. */
function shown<T extends ExecutionItem>(context: AppContext, item: T): T {
  return item.state === "PENDING" && item.reasonCode === null && context.engine.runner(item.executionId) !== null
    ? { ...item, reasonCode: "LIMIT_WAIT" }
    : item;
}

/** @throws BAD_REQUEST */
function checkStates(states: readonly string[], known: readonly string[]): string[] {
  const upper = states.map((state) => state.toUpperCase());
  const wrong = upper.find((state) => !known.includes(state));
  if (wrong !== undefined) throw fail("BAD_REQUEST", `Cannot filter by state "${wrong}": it is none of ${known.join(", ")}`);
  return upper;
}

export async function getExecution(context: AppContext, request: { id: string; include?: string[] }): Promise<Execution> {
  return readExecution(context, await requireExecution(context, request.id, "show"), request.include ?? []);
}

/** @throws EXECUTION_NOT_FOUND */
export async function requireExecution(context: AppContext, id: string, verb: string): Promise<RowOf<"executions">> {
  const row = isUuid(id) ? await context.store.findExecution(id) : null;
  if (row !== null) return row;
  throw fail("EXECUTION_NOT_FOUND", `Cannot ${verb} execution "${id}": no such execution`, {
    hint: "`workflow execution list` shows those that are there.",
  });
}

async function readExecution(context: AppContext, row: RowOf<"executions">, include: readonly string[]): Promise<Execution> {
  const { plan } = await context.engine.plans.load(row.workflow, row.revision);
  const ids = [...plan.tasks.keys()];
  const { tasks, next } = await pageTaskRuns(context.store, row, plan, { ids, from: firstRun, size: limits.pageMax, states: null });
  const answer: Execution = {
    execution: {
      ...shown(context, toExecutionItem(row)),
      inputs: await readColumn(context.store, row.inputs),
      outputs: await readColumn(context.store, row.outputs),
    },
    tasks,
    tasksNextCursor: writeRunCursor(next),
  };
  if (include.includes("timeline") || include.includes("trace")) await addEvents(context, answer, include);
  return answer;
}

async function addEvents(context: AppContext, answer: Execution, include: readonly string[]): Promise<void> {
  const events = await context.store.listEvents({ traceId: answer.execution.executionId, limit: 10_000 });
  if (include.includes("trace")) answer.trace = events.map((event) => JSON.parse(sentText(event)) as TraceEvent);
  if (!include.includes("timeline")) return;
  answer.timeline = events.map((event) => {
    const { payload } = JSON.parse(event.body) as TraceEvent;
    const error = payload["error"] as { message?: string } | undefined;
    const text = error?.message ?? payload["reason"] ?? null;
    return {
      time: toIso(event.time),
      event: event.type,
      taskId: typeof payload["task"] === "string" ? payload["task"] : null,
      message: typeof text === "string" ? text : null,
    };
  });
}

export async function listTaskRuns(context: AppContext, query: TaskRunQuery): Promise<TaskRunList> {
  const row = await requireExecution(context, query.executionId, "show");
  const { plan } = await context.engine.plans.load(row.workflow, row.revision);
  const size = pageSize(query.limit);
  const states = query.state === undefined ? null : checkStates(query.state, taskStates);
  const ids = [...plan.tasks.keys()].filter((id) => query.taskId === undefined || id === query.taskId);
  const from = query.cursor === undefined ? firstRun : readRunCursor(query.cursor);
  const { tasks, next } = await pageTaskRuns(context.store, row, plan, { ids, from, size, states });
  return { tasks, nextCursor: writeRunCursor(next) };
}

function readRunCursor(text: string): RunPlace {
  const [at, item] = readCursor(text, ["number", "number"]);
  return { at: Number(at), item: Number(item) };
}

function writeRunCursor(place: RunPlace | null): string | null {
  return place === null ? null : writeCursor([place.at, place.item]);
}

/** @throws EXECUTION_NOT_FOUND, TASK_NOT_FOUND, EXECUTION_STATE */
export async function commandExecution(context: AppContext, caller: Caller, id: string, command: Command): Promise<CommandAnswer> {
  await requireExecution(context, id, command.kind);
  context.session.ensure();
  const { already, state } = await context.engine.command(id, command, caller);
  return { already, started: { executionId: id, state } };
}

/** @throws EXECUTION_NOT_FOUND, EXECUTION_STATE, TASK_NOT_FOUND, QUEUE_FULL, SECRETS_MISSING */
export async function restartExecution(context: AppContext, caller: Caller, { id, from }: { id: string; from?: string }): Promise<Restarted> {
  const row = await requireExecution(context, id, "restart");
  const { plan } = await context.engine.plans.load(row.workflow, row.revision);
  requireActions(context, plan.definition);
  context.session.ensure();
  return { ...(await context.engine.restart(id, from ?? null, caller)), restartedFrom: id };
}
