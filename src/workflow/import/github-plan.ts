// Jobs and steps of a workflow of GitHub Actions before anything is translated: which tasks they become, and what those need.
import type { Field, SourceMap } from "./source-map.ts";

export type Step = {
  map: SourceMap;
  field: Field;
  /** The id that expressions name it by. */
  id: string | null;
  taskId: string;
  run: Field;
  condition: Field | null;
  /** Whether it may run after a failure: its condition says failure(), always() or cancelled(). */
  isOpaque: boolean;
  /** Whether its failure counts as done: continue-on-error. */
  mayFail: boolean;
};

/** `item`: combinations are written out, and the task runs for each of a list. */
export type Matrix = { as: "matrix" | "item"; names: Map<string, { name: string; type: "string" | "any"; isMissing: boolean }> };

export type Job = {
  id: string;
  field: Field;
  map: SourceMap;
  needs: string[];
  condition: Field | null;
  isOpaque: boolean;
  steps: Step[];
  /** Ids of steps that are not carried over: their outputs are empty. */
  lostSteps: Set<string>;
  matrix: Matrix | null;
  /** The one task that all its steps became; null where each is one. */
  joined: string | null;
  /** A task that decides alone whether the job runs; null where its first step does. */
  gate: string | null;
  outputs: Map<string, Field>;
};

export type Jobs = ReadonlyMap<string, Job>;

const opaquePattern = /\b(?:failure|always|cancelled)\s*\(/i;
const statusPattern = /\b(?:success|failure|always|cancelled)\s*\(/i;

export const isOpaqueText = (text: string): boolean => opaquePattern.test(text);
export const callsStatus = (text: string): boolean => statusPattern.test(text);

/** Whether some step may be skipped while the job goes on. */
export function isComplex(job: Job): boolean {
  return job.steps.some((step) => step.condition !== null);
}

/** A job whose steps have conditions needs a task of its own for the job's: a skipped first step would say too little. */
export function needsGate(job: Job): boolean {
  return isComplex(job) && (job.condition !== null || job.needs.length > 0);
}

export function tasksOf(job: Job): string[] {
  if (job.joined !== null) return [job.joined];
  return job.steps.map((step) => step.taskId);
}

/** `seen`: jobs that are in the answer already; each is followed once, however many ways lead to it. */
function upstreamOf(job: Job, jobs: Jobs, seen: Set<string>): string[] {
  return job.needs.flatMap((id) => {
    const need = jobs.get(id);
    if (need === undefined || seen.has(id)) return [];
    seen.add(id);
    return endsOf(need, jobs, seen);
  });
}

/** The tasks that show how a job ended. A job that runs after failures hides those before it, so they are shown as well. */
function endsOf(job: Job, jobs: Jobs, seen: Set<string>): string[] {
  const tasks = tasksOf(job);
  if (tasks.length === 0) return upstreamOf(job, jobs, seen);
  const own = isComplex(job) ? [...(job.gate === null ? [] : [job.gate]), ...tasks] : tasks.slice(-1);
  return job.isOpaque ? [...upstreamOf(job, jobs, seen), ...own] : own;
}

/** What the first task of a job needs. */
export function needsOfJob(job: Job, jobs: Jobs): string[] {
  return [...new Set(upstreamOf(job, jobs, new Set([job.id])))];
}

/** What each step needs: the one before it, and where that one runs after failures also what it needs itself. */
export function needsOfSteps(job: Job, jobs: Jobs): string[][] {
  const all: string[][] = [];
  for (const index of job.steps.keys()) {
    const before = job.steps[index - 1];
    if (before === undefined) all.push(job.gate === null ? needsOfJob(job, jobs) : [job.gate]);
    else all.push([...new Set([...(before.isOpaque ? (all[index - 1] ?? []) : []), before.taskId])]);
  }
  return all;
}

/** Whether success() of a job's own condition says what it means there: jobs with skipped steps need more words. */
export function hasPlainNeeds(job: Job, jobs: Jobs, seen = new Set<string>()): boolean {
  return job.needs.every((id) => {
    const need = jobs.get(id);
    if (need === undefined || seen.has(id)) return true;
    seen.add(id);
    if (tasksOf(need).length === 0) return hasPlainNeeds(need, jobs, seen);
    return !isComplex(need) && !need.isOpaque;
  });
}
