// `workflow run`: stores a file's text as a revision where needed, starts it in this process, and tells what happens.
import { homedir } from "node:os";
import { fail, type Json, type JsonObject } from "../base/index.ts";
import { type Caller, type EventDraft, type Execution, principalText, type WorkflowDefinition } from "../model/index.ts";
import { environment } from "../config/index.ts";
import { LearnLog, leastPermissions, renderLearned } from "../plugins/index.ts";
import type { LogLine, RowOf } from "../storage/index.ts";
import { requireInputs } from "../workflow/index.ts";
import type { OneShot, OneShotRequest, Progress } from "./app.ts";
import type { AppContext } from "./context.ts";
import type { Observer } from "./task-invoker.ts";
import {
  appliedPayload,
  checkSource,
  commitApplied,
  commitApprovals,
  getExecution,
  missingApprovals,
  requireWorkflow,
  retryRaces,
  storeRevision,
  submitRevision,
} from "./verbs/index.ts";

export type OneShotHooks = {
  /** Keeps the execution's workspace. */
  keep: (executionId: string) => void;
  /** Enforces nothing on the execution's tasks, and tells what they do. */
  observe: (executionId: string, observer: Observer) => void;
};

export async function runOneShot(context: AppContext, caller: Caller, request: OneShotRequest, hooks: OneShotHooks): Promise<OneShot> {
  const target = "source" in request.from ? await storeFile(context, caller, request) : await findStored(context, request.from.workflow);
  const { plan, row } = await context.engine.plans.load(target.workflow, target.revision);
  const given = requireInputs(plan.definition, { texts: request.inputTexts, values: request.inputs }, "run");
  if (!request.learn && context.loaded.config.plugins.sandbox === "off")
    request.onNote("plugins.sandbox is off: tasks are not confined, and run as your own user with your files and network");
  const executionId = context.ids.next();
  if (request.keepWorkspace) hooks.keep(executionId);
  const learned = request.learn ? watch(context, { executionId, definition: plan.definition, folder: row.folder, observe: hooks.observe }) : null;
  const off = context.ledger.listen((news) => {
    // The lines of a commit were written before the result that it may hold.
    for (const line of news.logs) if (line.executionId === executionId) request.onProgress(toLogProgress(line));
    for (const committed of news.events) if (committed.draft.traceId === executionId) tell(committed.draft, request.onProgress);
  });
  try {
    await submitRevision(context, caller, {
      ...target,
      inputs: given,
      labels: {},
      executionId,
      timeoutMs: request.timeoutMs,
      allow: request.allow,
      sideChanges: [],
      trigger: { type: "manual", id: null, scheduled_at: null, by: principalText(caller.principal) },
    });
  } catch (cause) {
    off();
    throw cause;
  }
  const runner = context.engine.runner(executionId);
  const done = (runner?.ended ?? Promise.resolve()).then(() => getExecution(context, { id: executionId })).finally(off);
  return {
    executionId,
    taskIds: [...plan.tasks.keys()],
    done: done as Promise<Execution>,
    cancel: async () => void (await context.engine.command(executionId, { kind: "cancel" }, caller).catch(() => undefined)),
    kill: () => context.engine.runner(executionId)?.killAll(),
    learned,
  };
}

type Watched = { executionId: string; definition: WorkflowDefinition; folder: string | null; observe: OneShotHooks["observe"] };

/** What is to be asked at the end: the least permissions with which it would have run the same. */
function watch(context: AppContext, { executionId, definition, folder, observe }: Watched): () => string {
  const log = new LearnLog();
  const since = context.clock.now();
  observe(executionId, (attempt) => log.watch(attempt));
  const { dataDir } = context.loaded;
  const facts = { definition, folder, dataDir, since, program: process.execPath, environment: environment(), home: homedir() };
  return () => renderLearned(leastPermissions(log, facts));
}

/** Keeps the text as a revision: current and unarmed when the id is new, beside the current one when it is another text. */
async function storeFile(context: AppContext, caller: Caller, request: OneShotRequest): Promise<{ workflow: string; revision: number }> {
  if (!("source" in request.from)) throw fail("INTERNAL", "Cannot store a file: the request names a workflow");
  const text = request.from;
  const { definition, warnings } = checkSource(context, text, null);
  // What cannot run refuses the start by itself, and triggers are of no matter to a run.
  for (const warning of warnings.filter(({ code }) => code !== "NOT_AVAILABLE_YET" && code !== "UNKNOWN_ACTION"))
    request.onNote(`${warning.file}:${warning.line}:${warning.column}: ${warning.code}: ${warning.message}`);
  const { row, stored } = await retryRaces(() => storeText(context, caller, { definition, source: text.source, folder: text.folder }));
  if (row !== null && row.revision !== stored.revision) request.onNote(describeOther(row, stored.sha256));
  context.engine.plans.keep(stored.sha256, definition);
  return { workflow: definition.id, revision: stored.revision };
}

async function storeText(context: AppContext, caller: Caller, text: { definition: WorkflowDefinition; source: string; folder: string | null }) {
  const { definition, source, folder } = text;
  const row = await context.store.findWorkflow(definition.id);
  const stored = await storeRevision(context, { id: definition.id, source, folder });
  const approvals = await missingApprovals(context, caller, definition);
  if (stored.isNew || row === null) {
    const enabled = row === null ? definition.enabled : row.enabled === 1;
    const state = { ...stored, folder, enabled, current: row === null, armed: false, isNewWorkflow: row === null };
    await commitApplied(context, caller, { payload: appliedPayload(definition, state), stored, source, approvals });
  } else await commitApprovals(context, approvals);
  return { row, stored };
}

function describeOther(row: RowOf<"workflows">, sha256: string): string {
  const how = row.sha256 === sha256 ? "from another folder" : "with another text";
  return `workflow "${row.id}" is stored ${how}: this run uses the file; \`run ${row.id}\` keeps revision ${row.revision} until \`workflow apply\``;
}

async function findStored(context: AppContext, id: string): Promise<{ workflow: string; revision: number }> {
  const row = await requireWorkflow(context, id, "run");
  if (row.enabled === 0) throw fail("WORKFLOW_DISABLED", `Cannot run workflow "${id}": it is disabled`, { hint: `workflow enable ${id}` });
  return { workflow: id, revision: row.revision };
}

const taskStates: Record<string, string> = {
  "trace.task.started": "RUNNING",
  "trace.task.succeeded": "SUCCESS",
  "trace.task.failed": "FAILED",
  "trace.task.skipped": "SKIPPED",
  "trace.task.cancelled": "CANCELLED",
  "trace.task.waiting": "WAITING",
  "trace.task.lost": "PENDING",
};
const executionStates: Record<string, string> = {
  "trace.execution.created": "PENDING",
  "trace.execution.started": "RUNNING",
  "trace.execution.waiting": "WAITING",
  "trace.execution.resumed": "RUNNING",
  "trace.execution.succeeded": "SUCCESS",
  "trace.execution.failed": "FAILED",
  "trace.execution.cancelled": "CANCELLED",
};

function tell(event: EventDraft, onProgress: (progress: Progress) => void): void {
  const { payload } = event;
  const reason = typeof payload["reason"] === "string" ? payload["reason"] : null;
  const execution = executionStates[event.type];
  if (execution !== undefined) return onProgress({ kind: "execution", state: execution, reason, at: event.time });
  const state = taskStates[event.type];
  if (state === undefined) return;
  const willRetry = payload["will_retry"] === true;
  onProgress({
    kind: "task",
    taskId: nameOf(payload),
    phase: null,
    state: willRetry ? "WAITING" : state,
    reason: willRetry ? "RETRY_DELAY" : reason,
    attempt: Number(payload["attempt"] ?? 0),
    at: event.time,
    durationMs: typeof payload["duration_ms"] === "number" ? payload["duration_ms"] : null,
    message: messageOf(payload),
  });
}

/** With the index of an item, as in `each[3]`. */
function nameOf({ task, item_index: index }: JsonObject): string {
  return typeof index === "number" ? `${String(task)}[${index}]` : String(task);
}

function messageOf(payload: JsonObject): string | null {
  const error = payload["error"] as { message?: Json } | undefined;
  if (typeof error?.message === "string")
    return payload["will_retry"] === true ? `${error.message}; next attempt at ${String(payload["next_attempt_at"])}` : error.message;
  return typeof payload["until"] === "string" ? `until ${payload["until"]}` : null;
}

function toLogProgress(line: LogLine): Progress {
  return {
    kind: "log",
    taskId: line.task === null ? null : nameOf({ task: line.task, item_index: line.itemIndex }),
    level: line.level,
    source: line.source,
    message: line.message,
    at: line.time,
  };
}
