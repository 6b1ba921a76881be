// Executions as the API shows them: rows of the projections put into the forms of http-api.md.
import { type Json, toIso, toIsoOrNull } from "../../base/index.ts";
import { type ExecutionItem, type TaskPhase, type TaskRun, taskStates } from "../../model/index.ts";
import type { RowOf, Store } from "../../storage/index.ts";
import { artifactOf, readJsonBlob } from "../../trace/index.ts";
import type { CompiledWorkflow } from "../../workflow/index.ts";

type ExecutionRow = RowOf<"executions">;

/** A stored JSON column; a value that was moved into a blob is fetched. */
export async function readColumn(store: Store, text: string | null): Promise<Json> {
  if (text === null) return null;
  const value = JSON.parse(text) as Json;
  const sha256 = artifactOf(value);
  return sha256 === null ? value : readJsonBlob(store, sha256);
}

export function toExecutionItem(row: ExecutionRow): ExecutionItem {
  const error = row.error === null ? null : (JSON.parse(row.error) as ExecutionItem["error"]);
  return {
    executionId: row.execution_id,
    workflowId: row.workflow,
    revision: row.revision,
    state: row.state,
    reasonCode: row.reason,
    message: error?.message ?? null,
    trigger: { type: row.trigger_type, id: row.trigger_id, scheduledAt: toIsoOrNull(row.scheduled_at), by: row.by },
    createdAt: toIso(row.created_at),
    startedAt: toIsoOrNull(row.started_at),
    endedAt: toIsoOrNull(row.ended_at),
    durationMs: row.started_at === null || row.ended_at === null ? null : row.ended_at - row.started_at,
    digest: row.digest,
    error,
  };
}

/** Task runs in the order of the workflow: what has no row yet is PENDING. Only tasks that `wanted` names are filled in. */
export async function readTaskRuns(store: Store, execution: ExecutionRow, plan: CompiledWorkflow, wanted: readonly string[]): Promise<TaskRun[]> {
  const names = wanted.length === plan.tasks.size ? undefined : wanted;
  const rows = new Map((await store.listTaskRuns(execution.execution_id, names)).map((row) => [row.task, row]));
  const attempts = Map.groupBy(await store.listAttempts(execution.execution_id, names), (row) => row.task);
  return Promise.all(
    wanted.map((id) =>
      toTaskRun(store, plan, { id, row: rows.get(id) ?? null, attempts: attempts.get(id) ?? [], hasEnded: execution.ended_at !== null }),
    ),
  );
}

async function toTaskRun(
  store: Store,
  plan: CompiledWorkflow,
  at: { id: string; row: RowOf<"task_runs"> | null; attempts: RowOf<"attempts">[]; hasEnded: boolean },
): Promise<TaskRun> {
  const definition = plan.tasks.get(at.id)?.definition;
  const { row } = at;
  const phase: TaskPhase | null = definition?.phase ?? null;
  return {
    taskId: at.id,
    itemIndex: row === null || row.item_index < 0 ? null : row.item_index,
    phase,
    action: definition?.action ?? "",
    state: taskStates.find((state) => state === row?.state) ?? "PENDING",
    reasonCode: row?.reason ?? null,
    needs: definition?.needs ?? [],
    attempts: at.attempts.map((attempt) => ({
      attempt: attempt.attempt,
      startedAt: toIso(attempt.started_at),
      endedAt: toIsoOrNull(attempt.ended_at),
      durationMs: attempt.duration_ms,
      error: attempt.error === null ? null : (JSON.parse(attempt.error) as TaskRun["error"]),
      runtime: attempt.runtime,
      sandbox: JSON.parse(attempt.sandbox) as TaskRun["attempts"][number]["sandbox"],
    })),
    output: await readColumn(store, row?.output ?? null),
    error: (await readColumn(store, row?.error ?? null)) as TaskRun["error"],
  };
}
