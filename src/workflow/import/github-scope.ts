// What the names in expressions of GitHub Actions are here: matrix, env, needs, steps, inputs, secrets, and the little of github.
import type { Cel, ExpressionScope, ResolveName, StatusWords } from "./github-expression.ts";
import { translate } from "./github-expression.ts";
import { type Job, type Jobs, tasksOf } from "./github-plan.ts";
import { splitExpressions } from "./github-syntax.ts";
import { isVariableName } from "./names.ts";
import { scalarText } from "./source-map.ts";
import { memberOfRoot, quoteCel, taskRef } from "./texts.ts";

/** The environment so far: values as templates of the result. */
export type Env = ReadonlyMap<string, string>;

export type Names = {
  jobs: Jobs;
  /** Inputs of the workflow by the name that the source gives them. */
  inputs: ReadonlyMap<string, { id: string; type: Cel["type"] }>;
  workflowName: string;
  /** Where secrets may be named; it learns which are. Null where they may not. */
  secrets: Set<string> | null;
  /** How many outputs of jobs were followed to this place. */
  depth: number;
};

/** An output may name another job's; a longer way is a circle. */
const depthMax = 5;

/** A place in a job; `step` is its position, null for the job as a whole. */
export type Site = { job: Job; step: number | null; env: Env; status: StatusWords };

const string = (text: string): Cel => ({ cel: quoteCel(text), type: "string", text });
const any = (cel: string): Cel => ({ cel, type: "any" });

const states = { success: "SUCCESS", failure: "FAILED", skipped: "SKIPPED" } as const;

/** How tasks that stand for one thing ended, in the words of the source. */
function resultOf(counting: readonly string[], first: string | null): Cel {
  const failed = counting.map((id) => `${taskRef(id)}.state == '${states.failure}'`).join(" || ");
  const isSkipped = first === null ? "false" : `${taskRef(first)}.state == '${states.skipped}'`;
  const isFailed = failed === "" ? "false" : counting.length === 1 ? failed : `(${failed})`;
  const skipped = first === null ? "" : `${isSkipped} ? 'skipped' : `;
  const cel = `(${failed === "" ? "" : `${isFailed} ? 'failure' : `}${skipped}'success')`;
  const [only] = counting;
  const isOne = counting.length === 1 && only === first;
  const success = isOne && only !== undefined ? { success: `${taskRef(only)}.state == '${states.success}'` } : {};
  return { cel, type: "string", cases: { ...success, failure: isFailed, skipped: isSkipped } };
}

function jobResult(job: Job): Cel | string {
  const tasks = tasksOf(job);
  if (tasks.length === 0) return `the job "${job.id}" is not carried over`;
  const first = job.gate ?? (job.steps.some((step) => step.condition !== null) ? null : (tasks[0] ?? null));
  const counting = job.joined === null ? job.steps.filter((step) => !step.mayFail).map((step) => step.taskId) : tasks;
  return resultOf(counting, first);
}

function stepOutput(job: Job, id: string, name: string, before: number): Cel | string {
  if (job.lostSteps.has(id)) return string("");
  const at = job.steps.findIndex((step) => step.id === id);
  const step = job.steps[at];
  if (step === undefined || at >= before) return string("");
  if (job.matrix !== null) return "outputs of a step that runs for a matrix are a list here";
  const output = `${taskRef(step.taskId)}.output`;
  // Only what the step wrote is there.
  return {
    cel: `(${taskRef(step.taskId)}.state == 'SUCCESS' && ${quoteCel(name)} in ${output} ? string(${memberOfRoot(output, name)}) : '')`,
    type: "string",
  };
}

function ofSteps([, id = "", what = "", name = ""]: readonly string[], { job, step }: Site): Cel | string {
  if (what === "outputs") return stepOutput(job, id, name, step ?? job.steps.length);
  const found = job.steps.find((one) => one.id === id);
  if (what !== "outcome" && what !== "conclusion") return `steps.${id}.${what} has no equivalent`;
  if (found === undefined) return `the step "${id}" is not carried over`;
  return resultOf(what === "conclusion" && found.mayFail ? [] : [found.taskId], found.taskId);
}

/** Outputs of a job are read from the steps that its `outputs:` names. */
function jobOutput(job: Job, name: string, names: Names): Cel | string {
  if (names.depth >= depthMax) return "outputs of jobs name each other";
  const field = job.outputs.get(name);
  const text = scalarText(field?.node) ?? "";
  const parts = splitExpressions(text);
  const [only] = parts;
  if (parts.length !== 1 || only === undefined || !("expression" in only)) return `the job "${job.id}" has no such output that is one expression`;
  const site: Site = { job, step: null, env: new Map(), status: null };
  const { value, problem } = translate(only.expression, scopeAt(site, { ...names, secrets: null, depth: names.depth + 1 }));
  return value ?? String(problem);
}

function ofNeeds([, id = "", what = "", name = ""]: readonly string[], { job }: Site, names: Names): Cel | string {
  const need = names.jobs.get(id);
  if (need === undefined || !job.needs.includes(id)) return `the job "${id}" is none of its needs`;
  if (what === "result") return jobResult(need);
  return what === "outputs" ? jobOutput(need, name, names) : `needs.${id}.${what} has no equivalent`;
}

function ofMatrix([, key = "", ...rest]: readonly string[], { job }: Site): Cel | string {
  const known = job.matrix?.names.get(key);
  if (job.matrix === null || known === undefined) return `the matrix has no "${key}" here`;
  const value = rest.reduce(memberOfRoot, memberOfRoot(job.matrix.as, known.name));
  if (!known.isMissing) return { cel: value, type: rest.length > 0 ? "any" : known.type };
  return any(`(${quoteCel(known.name)} in ${job.matrix.as} ? ${value} : '')`);
}

function ofEnv([, name = ""]: readonly string[], { env }: Site, names: Names): Cel | string {
  const template = env.get(name);
  if (template === undefined) return `env.${name} is set nowhere in the file`;
  if (template.includes("{{") && /\bsecrets\b/.test(template) && names.secrets === null) return `env.${name} holds a secret`;
  const sole = /^\{\{ ((?:[^}]|\}(?!\}))*) \}\}$/.exec(template);
  if (sole !== null) return any(sole[1] ?? "");
  if (/(?:^|[^\\])\{\{/.test(template)) return `env.${name} is put together of several parts`;
  return string(template.replaceAll("\\{{", "{{"));
}

/** What starts an execution has other words here. */
const events: Record<string, string> = { schedule: "cron", workflow_dispatch: "manual", workflow_call: "workflow", repository_dispatch: "webhook" };

function ofGithub(path: readonly string[], names: Names, { job }: Site): Cel | string {
  const [, member = "", ...rest] = path;
  if (member === "event" && rest[0] === "inputs" && rest.length === 2) return ofInputs(["inputs", rest[1] ?? ""], names);
  if (member === "run_id" || member === "run_number") return { cel: "execution.id", type: "string" };
  if (member === "workflow") return string(names.workflowName);
  if (member === "job") return string(job.id);
  if (member === "actor" || member === "triggering_actor") return any("trigger.by");
  if (member === "event_name") {
    const others = Object.entries(events).reduce((rest, [there, here]) => `trigger.type == '${here}' ? '${there}' : ${rest}`, "trigger.type");
    return { cel: `(${others})`, type: "string" };
  }
  return `${path.join(".")} is known to GitHub only`;
}

function ofInputs([, name = ""]: readonly string[], names: Names): Cel | string {
  const known = names.inputs.get(name);
  // One that the workflow does not declare is empty there too.
  return known === undefined ? string("") : { cel: memberOfRoot("inputs", known.id), type: known.type };
}

function ofSecrets([, name = ""]: readonly string[], names: Names): Cel | string {
  if (names.secrets === null) return "secrets may be used only in env";
  if (!isVariableName(name)) return "the name of a secret must be written out";
  names.secrets.add(name);
  return any(`secrets.${name}`);
}

const runner: Record<string, string> = { os: "Linux" };

/** The meaning of expressions at one place. */
export function scopeAt(site: Site, names: Names): ExpressionScope {
  const resolve: ResolveName = (path) => {
    switch (path[0]) {
      case "matrix":
        return ofMatrix(path, site);
      case "env":
        return ofEnv(path, site, names);
      case "needs":
        return ofNeeds(path, site, names);
      case "steps":
        return ofSteps(path, site);
      case "inputs":
        return ofInputs(path, names);
      case "secrets":
        return ofSecrets(path, names);
      case "github":
        return ofGithub(path, names, site);
      case "runner":
        return runner[path[1] ?? ""] === undefined ? `${path.join(".")} has no equivalent` : string(runner[path[1] ?? ""] ?? "");
      default:
        return `${path.join(".")} has no equivalent`;
    }
  };
  return { resolve, status: site.status };
}
