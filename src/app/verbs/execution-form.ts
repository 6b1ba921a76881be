// Executions as the API shows them: rows of the projections put into the forms of http-api.md.
import { toIso, toIsoOrNull } from "../../base/index.ts";
import { type ExecutionItem, type TaskPhase, type TaskRun, taskStates } from "../../model/index.ts";
import type { RowOf, Store } from "../../storage/index.ts";
import { readColumn } from "../../trace/index.ts";
import type { CompiledWorkflow } from "../../workflow/index.ts";

type ExecutionRow = RowOf<"executions">;

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

/** Where a page goes on: at which task of the list, after which of its items (−2: before all of them). */
export type RunPlace = { at: number; item: number };
export const firstRun: RunPlace = { at: 0, item: -2 };

type RunPage = { ids: readonly string[]; from: RunPlace; size: number; states: readonly string[] | null };

/**
 * Task runs in the order of the workflow, items in theirs: what has no row yet is PENDING. `next` is null at the end. Only items that
 * began are there.
 */
export async function pageTaskRuns(
  store: Store,
  execution: ExecutionRow,
  plan: CompiledWorkflow,
  page: RunPage,
): Promise<{ tasks: TaskRun[]; next: RunPlace | null }> {
  const tasks: TaskRun[] = [];
  const isWanted = (run: TaskRun) => page.states === null || page.states.includes(run.state);
  let { at, item } = page.from;
  while (at < page.ids.length && tasks.length < page.size) {
    const id = page.ids[at] ?? "";
    const room = page.size - tasks.length;
    if (plan.tasks.get(id)?.list == null) {
      const stretch = plainStretch(plan, page.ids.slice(at, at + room));
      const found = await readTaskRuns(store, execution, plan, stretch);
      tasks.push(...found.filter(isWanted));
      at += stretch.length;
      continue;
    }
    const found = await readItemRuns(store, execution, plan, { id, afterItem: item, limit: room });
    tasks.push(...found.runs.filter(isWanted));
    item = found.last;
    if (found.isEnd) [at, item] = [at + 1, firstRun.item];
  }
  return { tasks, next: at < page.ids.length ? { at, item } : null };
}

/** Tasks up to the first one that has items. */
function plainStretch(plan: CompiledWorkflow, ids: readonly string[]): readonly string[] {
  const end = ids.findIndex((id) => plan.tasks.get(id)?.list != null);
  return end < 0 ? ids : ids.slice(0, end);
}

async function readTaskRuns(store: Store, execution: ExecutionRow, plan: CompiledWorkflow, wanted: readonly string[]): Promise<TaskRun[]> {
  const names = wanted.length === plan.tasks.size ? undefined : wanted;
  const rows = new Map((await store.listTaskRuns(execution.execution_id, names)).map((row) => [row.task, row]));
  const attempts = Map.groupBy(await store.listAttempts(execution.execution_id, names), (row) => row.task);
  return Promise.all(wanted.map((id) => toTaskRun(store, plan, { id, row: rows.get(id) ?? null, attempts: attempts.get(id) ?? [] })));
}

/** A task that was not expanded yet is one run without an item. */
async function readItemRuns(
  store: Store,
  { execution_id: executionId }: ExecutionRow,
  plan: CompiledWorkflow,
  { id, afterItem, limit }: { id: string; afterItem: number; limit: number },
): Promise<{ runs: TaskRun[]; last: number; isEnd: boolean }> {
  const rows = await store.listItemRuns({ executionId, task: id, afterItem, limit });
  const last = rows.at(-1)?.item_index ?? afterItem;
  const isEnd = rows.length < limit;
  if (rows.length === 0) return { runs: afterItem >= -1 ? [] : [await toTaskRun(store, plan, { id, row: null, attempts: [] })], last, isEnd };
  const fromItem = rows[0]?.item_index ?? 0;
  const attempts = Map.groupBy(await store.listItemAttempts({ executionId, task: id, fromItem, toItem: last }), (row) => row.item_index);
  const runs = rows.map((row) => toTaskRun(store, plan, { id, row, attempts: attempts.get(row.item_index) ?? [] }));
  return { runs: await Promise.all(runs), last, isEnd };
}

async function toTaskRun(
  store: Store,
  plan: CompiledWorkflow,
  at: { id: string; row: RowOf<"task_runs"> | null; attempts: RowOf<"attempts">[] },
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
