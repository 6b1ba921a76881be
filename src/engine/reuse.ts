// What a restarted execution takes over from the one before: results that nothing before them makes doubtful.
import type { Json } from "../base/index.ts";
import type { Artifact, TraceEvent } from "../model/index.ts";
import type { Vault } from "../secrets/index.ts";
import type { Store } from "../storage/index.ts";
import { artifactOf, restorePayload } from "../trace/index.ts";
import type { CompiledWorkflow } from "../workflow/index.ts";
import { nameOf } from "./machine.ts";

/** A true result, and the files that were left with it: they have to be named again, or they would go with the earlier execution. */
export type Reused = { output: Json; artifacts: Artifact[] };
/** By the name of a run (`runName`). `masks`: what was masked there, and so is here. */
export type Reuse = { results: ReadonlyMap<string, Reused>; masks: readonly string[] };
export type Restart = { executionId: string; from: string | null };

export const noReuse: Reuse = { results: new Map(), masks: [] };

const pageSize = 1000;

/**
 * Successful results of an earlier execution of the same revision: without `from` those before the first thing that did not succeed, with
 * it those that do not need that task. One that is gone by now gives nothing. @throws SECRET_KEY_WRONG, SECRET_TAMPERED
 */
export async function loadReuse(deps: { store: Store; vault: Vault }, plan: CompiledWorkflow, { executionId, from }: Restart): Promise<Reuse> {
  const { store, vault } = deps;
  if ((await store.findExecution(executionId)) === null) return noReuse;
  const sealed = new Map(
    (await vault.openSealed(executionId)).map(({ task, itemIndex, member, value }) => [`${member} ${task ?? ""} ${itemIndex}`, value]),
  );
  const results = new Map<string, Reused & { task: string }>();
  const failed = new Set<string>();
  for (let after = -1; ; ) {
    const page = await store.listEvents({ traceId: executionId, afterSequence: after, types: [...told], limit: pageSize });
    for (const stored of page) {
      after = stored.sequence;
      const event = JSON.parse(stored.body) as TraceEvent;
      const payload = await restorePayload(store, event.payload);
      const task = String(payload["task"]);
      const itemIndex = typeof payload["item_index"] === "number" ? payload["item_index"] : null;
      const isGood = stored.type === "trace.task.succeeded" || payload["as"] === "succeeded";
      if (isGood) {
        const shown = payload["output"] ?? null;
        const output = sealed.get(`output ${task} ${itemIndex}`) ?? shown;
        // A true value that is gone cannot be taken over.
        if (payload["sealed"] !== true || output !== shown) results.set(nameOf(task, itemIndex), { task, output, artifacts: filesOf(event) });
      } else if (payload["will_retry"] !== true && payload["as"] !== "retry") failed.add(task);
    }
    if (page.length < pageSize) break;
  }
  const masks = sealed.get("masks  null") ?? [];
  return { results: select(plan, { results, failed, from }), masks: masks as string[] };
}

/** What was moved out of the payload for its size is no file. */
function filesOf({ payload, artifacts = [] }: TraceEvent): Artifact[] {
  return artifacts.filter(({ name, sha256 }) => artifactOf(payload[name]) !== sha256);
}

const told = ["trace.task.succeeded", "trace.task.failed", "trace.task.cancelled", "trace.task.skipped", "trace.task.resolved"] as const;

type Found = { results: ReadonlyMap<string, Reused & { task: string }>; failed: ReadonlySet<string>; from: string | null };

function select(plan: CompiledWorkflow, { results, failed, from }: Found): Map<string, Reused> {
  const succeeded = new Set([...results.values()].filter(({ task }) => !failed.has(task)).map(({ task }) => task));
  const known = new Map<string, boolean>();
  /** Whether something that the task needs runs again. */
  const isAfter = (id: string): boolean => (plan.tasks.get(id)?.definition.needs ?? []).some((need) => runsAgain(need));
  function runsAgain(id: string): boolean {
    const before = known.get(id);
    if (before !== undefined) return before;
    const again = id === from || !succeeded.has(id) || isAfter(id);
    known.set(id, again);
    return again;
  }
  // Items that succeeded stay, also where others of their task did not.
  const isKept = (task: string) => task !== from && plan.tasks.get(task)?.definition.phase === null && !isAfter(task);
  return new Map([...results].filter(([, { task }]) => isKept(task)));
}
