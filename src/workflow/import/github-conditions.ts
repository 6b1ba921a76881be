// When a job or a step runs. success() there looks past steps that were skipped; here a skipped need counts as not done.
import type { ExpressionScope, StatusWords } from "./github-expression.ts";
import { translateCondition } from "./github-expression.ts";
import { callsStatus, hasPlainNeeds, isComplex, type Job, type Jobs, tasksOf } from "./github-plan.ts";
import { scalarText } from "./source-map.ts";
import { allOf, enclose, taskRef } from "./texts.ts";

/** `problem`: why the source's condition has no equivalent; the task must not run then. */
export type Condition = { cel: string | null; problem: string | null };
export type ScopeWith = (status: StatusWords) => ExpressionScope;

function wordsWith(success: string): NonNullable<StatusWords> {
  // A task never starts after a cancel.
  return { success, failure: "failure()", always: "always()", cancelled: "false" };
}

/** The source's text under what must hold besides; without a status function it holds only after success. */
function conditionOf(text: string, success: string | null, scopeWith: ScopeWith): Condition {
  const { value, problem } = translateCondition(text, scopeWith(wordsWith(success === null ? "success()" : enclose(success))));
  if (value === null) return { cel: null, problem };
  return { cel: success === null || callsStatus(text) ? value.cel : allOf(success, value.cel), problem: null };
}

/** What success of all jobs before means, in words that see past skipped steps. */
function successOfNeeds(job: Job, jobs: Jobs): string {
  const skips = job.needs.flatMap((id) => {
    const need = jobs.get(id);
    const first = need === undefined ? undefined : (need.gate ?? (isComplex(need) ? undefined : tasksOf(need)[0]));
    return first === undefined ? [] : [`${taskRef(first)}.state != 'SKIPPED'`];
  });
  return allOf("!failure()", ...skips);
}

/** The condition of a job, which its first task or the one that decides for it has. */
export function conditionOfJob(job: Job, jobs: Jobs, scopeWith: ScopeWith): Condition {
  const success = hasPlainNeeds(job, jobs) ? null : successOfNeeds(job, jobs);
  const text = scalarText(job.condition?.node);
  return text === null ? { cel: success, problem: null } : conditionOf(text, success, scopeWith);
}

/** The condition of a step that is not the one that decides for its job. */
export function conditionOfStep(job: Job, index: number, scopeWith: ScopeWith): Condition {
  const isAfterSkips = job.steps.slice(0, index).some((step) => step.condition !== null);
  const success = isAfterSkips ? "!failure()" : null;
  const text = scalarText(job.steps[index]?.condition?.node);
  const own = text === null ? { cel: success, problem: null } : conditionOf(text, success, scopeWith);
  if (job.gate === null || own.cel === null || !callsStatus(own.cel)) return own;
  return { cel: allOf(`${taskRef(job.gate)}.state == 'SUCCESS'`, own.cel), problem: null };
}
