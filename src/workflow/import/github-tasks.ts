// The tasks of one job of GitHub Actions: script, environment, shell, folder, conditions.
import type { JsonObject } from "../../base/index.ts";
import type { Draft, DraftItem } from "./draft.ts";
import { type Condition, conditionOfJob, conditionOfStep, type ScopeWith } from "./github-conditions.ts";
import { type ExpressionScope, translate, translateText } from "./github-expression.ts";
import { type Job, type Jobs, needsOfJob, needsOfSteps, type Step } from "./github-plan.ts";
import { type Env, type Names, scopeAt } from "./github-scope.ts";
import { renameVariables, replaceExpressions } from "./github-script.ts";
import { isVariableName, looksSecret } from "./names.ts";
import type { Notebook, Place } from "./notes.ts";
import { commentAbove, type Field, isTrue, numberOf, openMap, scalarText, type SourceMap } from "./source-map.ts";
import { expression, quoteShell } from "./texts.ts";

export type Defaults = { shell: Field | null; folder: Field | null };
export type GithubContext = { draft: Draft; text: string; jobs: Jobs; names: Names; defaults: Defaults; env: Env; book: Notebook };

type TaskParts = { env: Map<string, string>; run: string; shell: string | null; keys: JsonObject };

/** Variables of a map, over those around it. */
export function readEnv(field: Field | null, outer: Env, scope: (env: Env) => ExpressionScope, book: Notebook): Map<string, string> {
  const env = new Map(outer);
  if (field === null) return env;
  for (const one of openMap(field, book).takeAll()) {
    const text = scalarText(one.node);
    if (text === null || !isVariableName(one.key)) {
      book.lost(one, "This is no variable with a text, and is not carried over");
      continue;
    }
    const { template, problems } = translateText(text, scope(outer));
    for (const problem of problems)
      book.lost(one, `An expression stays as it is, and is no value: ${problem}`, "Put the value in its place, or declare an input.");
    if (looksSecret(one.key) && !text.includes("${{") && text !== "")
      book.lost(one, `${one.key} looks like a secret, and stands in plain text in the result as it does here`, `workflow secrets set ${one.key}`);
    env.set(one.key, template);
  }
  return env;
}

/** The shell's name here, bash where none is said; null for one that does not exist here. */
function shellOf(field: Field | null, book: Notebook): "bash" | "sh" | "python3" | null {
  const text = scalarText(field?.node)?.trim() ?? "bash";
  const program = text.split(/\s+/)[0] ?? "";
  if (program !== text && field !== null)
    book.changed(field, `The options of the shell are not carried over: bash runs with -euo pipefail, sh with -eu`);
  if (program === "python") return "python3";
  return program === "bash" || program === "sh" ? program : null;
}

function nameFor(text: string, env: ReadonlyMap<string, string>, template: string): string {
  const last = /([A-Za-z_][\w-]*)\W*$/.exec(text)?.[1] ?? "VALUE";
  const wanted = last.toUpperCase().replaceAll("-", "_");
  let name = wanted;
  for (let count = 2; env.has(name) && env.get(name) !== template; count++) name = `${wanted}_${count}`;
  return name;
}

/** The script with variables for its expressions, which are added to `env`. */
function scriptOf(step: Step, parts: Pick<TaskParts, "env" | "shell">, scope: ExpressionScope, book: Notebook): string {
  const text = scalarText(step.run.node) ?? "";
  const { env } = parts;
  const reasons: string[] = [];
  const replaced = replaceExpressions(text, (source) => {
    if (parts.shell === "python3") return null;
    const direct = /^env\.([A-Za-z_]\w*)$/.exec(source)?.[1];
    if (direct !== undefined && env.has(direct)) return direct;
    const { value, problem } = translate(source, scope);
    if (value === null) return (reasons.push(String(problem)), null);
    const template = value.text === undefined ? expression(value.cel) : value.text;
    const name = nameFor(source, env, template);
    env.set(name, template);
    return name;
  });
  for (const one of new Set(replaced.replaced)) book.changed(step.run, `\${{ ${one} }} became a variable: values reach a script through env`);
  for (const one of new Set(replaced.kept))
    book.lost(
      step.run,
      `\${{ ${one} }} stays in the script, where nothing is replaced${reasons.length === 0 ? "" : `: ${String(reasons[0])}`}`,
      "Give it to the script through env:.",
    );
  return renameIn(replaced.script, step.run, env, book);
}

function renameIn(script: string, place: Place, env: ReadonlyMap<string, string>, book: Notebook): string {
  const { script: text, renamed, unknown } = renameVariables(script, (name) => env.has(name));
  for (const name of renamed) book.changed(place, `${name} has another name here, and was replaced`);
  for (const name of unknown)
    book.lost(place, `${name} does not exist here, and the script still names it`, "Declare it under env:, or write to $WORKFLOW_OUTPUT.");
  if (/::set-output\b/.test(script)) book.lost(place, "::set-output means nothing here", 'Write: echo "name=value" >> "$WORKFLOW_OUTPUT"');
  return text;
}

/** A path below the workspace; any other one is gone to by the script itself. */
function folderOf(field: Field | null, scope: ExpressionScope, book: Notebook): { workdir: string | null; cd: string | null } {
  const text = scalarText(field?.node)?.trim() ?? "";
  if (field === null || text === "" || text === "." || text === "./") return { workdir: null, cd: null };
  const { template, problems } = translateText(text, scope);
  const path = template.replace(/^\.\//, "").replace(/\/$/, "");
  if (!template.includes("{{") && !path.startsWith("/") && !path.split("/").includes("..")) return { workdir: path, cd: null };
  if (problems.length === 0 && !template.includes("{{")) return { workdir: null, cd: quoteShell(text) };
  book.lost(field, "A folder that is computed is not carried over", "Write cd in the script.");
  return { workdir: null, cd: null };
}

function timeoutOf(map: SourceMap, book: Notebook): string | null {
  const field = map.take("timeout-minutes");
  const minutes = field === null ? null : numberOf(field.node);
  if (field !== null && minutes === null) book.lost(field, "A timeout that is computed is not carried over", "Write timeout: 10m");
  return minutes === null || minutes === 0 ? null : `${minutes}m`;
}

function putCondition(item: DraftItem, { cel, problem }: Condition, source: Field | null, book: Notebook): void {
  if (cel !== null) item.value["if"] = expression(cel);
  if (source !== null && /(?:^|[^!\s]\s*|[&|(]\s*)cancelled\s*\(/i.test(scalarText(source.node) ?? ""))
    book.changed(source, "cancelled() is false: no task starts after a cancel", "Tasks of finally: run after a cancel too.");
  if (problem === null || source === null) return;
  item.value["if"] = false;
  const text = scalarText(source.node) ?? "";
  item.comment = [...(item.comment === null ? [] : [item.comment]), `if: ${text}`].join("\n");
  book.lost(source, `The condition is not carried over, and the task is switched off: ${problem}`, "Write its if: anew.");
}

type JobParts = { context: GithubContext; job: Job; env: Env; defaults: Defaults; shared: JsonObject; timeout: string | null };

function stepScope({ context, job }: JobParts, index: number, env: Env): ScopeWith {
  return (status) => scopeAt({ job, step: index, env, status }, { ...context.names, secrets: null });
}

function valueScope({ context, job }: JobParts, index: number): (env: Env) => ExpressionScope {
  return (env) => scopeAt({ job, step: index, env, status: null }, context.names);
}

function partsOf(parts: JobParts, step: Step, index: number): TaskParts {
  const { book } = parts.context;
  const { map } = step;
  const scope = valueScope(parts, index);
  const env = readEnv(map.take("env"), parts.env, scope, book);
  const ownShell = map.take("shell");
  const shell = shellOf(ownShell ?? parts.defaults.shell, book);
  const { workdir, cd } = folderOf(map.take("working-directory") ?? parts.defaults.folder, scope(env), book);
  const script = scriptOf(step, { env, shell }, scope(env), book);
  const run = cd === null || shell === "python3" ? script : `cd ${cd}\n${script}`;
  if (cd !== null)
    book.changed(
      step.run,
      "The folder is outside of the workspace: the script goes there first",
      "Grant it: permissions: filesystem: { write: [FOLDER] }",
    );
  return { env, run, shell, keys: workdir === null ? {} : { workdir } };
}

function commentOf(step: Step, text: string): string | null {
  const name = scalarText(step.map.take("name")?.node);
  const above = commentAbove(text, step.field.at);
  const lines = [above, name].filter((line) => line !== null && line !== "");
  return lines.length === 0 ? null : lines.join("\n");
}

function restOfStep(step: Step, value: JsonObject, parts: JobParts): void {
  const { book } = parts.context;
  const timeout = timeoutOf(step.map, book) ?? parts.timeout;
  if (timeout !== null) value["timeout"] = timeout;
  const errors = step.map.take("continue-on-error");
  if (errors !== null && isTrue(errors.node)) value["allowFailure"] = true;
  else if (errors !== null && scalarText(errors.node) !== "false")
    book.lost(errors, "A computed continue-on-error is not carried over", "Write allowFailure: true");
  step.map.rest("a step");
}

function taskOf({ env, run, shell, keys }: TaskParts, more: JsonObject): JsonObject {
  const variables = env.size === 0 ? {} : { env: Object.fromEntries(env) };
  return { ...more, run, ...(shell === null || shell === "sh" ? {} : { shell }), ...keys, ...variables };
}

function addStep(parts: JobParts, step: Step, { index, needs }: { index: number; needs: string[] }): void {
  const { context, job, shared } = parts;
  const { draft, jobs, book } = context;
  const built = partsOf(parts, step, index);
  const value = taskOf(built, { id: step.taskId, ...(needs.length === 0 ? {} : { needs }), ...shared });
  const item: DraftItem = { value, place: step.field, comment: commentOf(step, context.text) };
  const decides = index === 0 && job.gate === null;
  const isOwn = step.condition !== null || !decides;
  const scope = stepScope(parts, index, isOwn ? built.env : parts.env);
  const condition = isOwn ? conditionOfStep(job, index, scope) : conditionOfJob(job, jobs, scope);
  putCondition(item, condition, isOwn ? step.condition : job.condition, book);
  restOfStep(step, value, parts);
  if (built.shell === null) {
    value["if"] = false;
    book.lost(step.field, "The shell of this step does not exist here: the task is switched off", "Write it for sh, bash, bun or python3.");
  }
  draft.tasks.push(item);
}

/** All steps as one script, each in a subshell of its own: variables, folders and `exit` stay inside. */
function addJoined(parts: JobParts, id: string): void {
  const { context, job, shared } = parts;
  const { draft, jobs, book } = context;
  const built = job.steps.map((step, index) => partsOf(parts, step, index));
  const pieces = job.steps.map((step, index) => {
    const name = commentOf(step, context.text)?.replace(/^ ?/gm, "# ") ?? `# Step ${index + 1}`;
    const folder = built[index]?.keys["workdir"];
    const cd = typeof folder === "string" ? `cd ${quoteShell(folder)}\n` : "";
    const run = built[index]?.run ?? "";
    return `${name}\n(\n${cd}${run}${run.endsWith("\n") ? "" : "\n"})\n`;
  });
  const needs = needsOfJob(job, jobs);
  const env = new Map(built.flatMap((one) => [...one.env]));
  const first = { env, run: pieces.join(""), shell: built[0]?.shell ?? null, keys: {} };
  const value = taskOf(first, { id, ...(needs.length === 0 ? {} : { needs }), ...shared });
  const item: DraftItem = { value, place: job.field, comment: commentAbove(context.text, job.field.at) };
  putCondition(item, conditionOfJob(job, jobs, stepScope(parts, 0, parts.env)), job.condition, book);
  for (const step of job.steps) restOfStep(step, value, parts);
  book.changed(
    job.field,
    "The steps became one task: those of one combination must not wait for another's",
    "The combinations share one workspace: work below $TMPDIR where they would disturb each other.",
  );
  draft.tasks.push(item);
}

function addGate(parts: JobParts, gate: string): void {
  const { context, job } = parts;
  const { draft, jobs, book } = context;
  const needs = needsOfJob(job, jobs);
  const value: JsonObject = { id: gate, type: "core/value.set", ...(needs.length === 0 ? {} : { needs }) };
  const item: DraftItem = { value, place: job.field, comment: `Decides whether the job ${job.id} runs` };
  putCondition(item, conditionOfJob(job, jobs, stepScope(parts, 0, parts.env)), job.condition, book);
  book.changed(job.field, "A task decides whether the job runs, since some of its steps may be skipped");
  draft.tasks.push(item);
}

function containerOf(map: SourceMap, book: Notebook): JsonObject {
  const field = map.take("container");
  if (field === null) return {};
  const isMap = field.node.kind === "map";
  const container = isMap ? openMap(field, book) : null;
  const image = scalarText(container?.take("image")?.node ?? field.node);
  container?.rest("container");
  if (image === null || image.includes("${{")) {
    book.lost(field, "The container is not carried over", "Write runtime: docker and image: at the task.");
    return {};
  }
  return { runtime: "docker", image };
}

export function readDefaults(map: SourceMap, outer: Defaults, book: Notebook): Defaults {
  const field = map.take("defaults");
  const defaults = field === null ? null : openMap(field, book);
  const run = defaults?.take("run") ?? null;
  defaults?.rest("defaults");
  if (run === null) return outer;
  const inner = openMap(run, book);
  const read = { shell: inner.take("shell") ?? outer.shell, folder: inner.take("working-directory") ?? outer.folder };
  inner.rest("defaults.run");
  return read;
}

const jobLost: readonly (readonly [string, string, string?])[] = [
  ["environment", "The environment with its protection rules is not carried over", "Let the job need a task of type core/approval.request."],
  ["services", "Services are not carried over", "Start what the job needs before it, or on the machine."],
  ["permissions", "The rights of the token are not carried over", "A token is a secret: workflow secrets set GITHUB_TOKEN."],
  ["concurrency", "Concurrency of a job is not carried over", "concurrency: of the workflow limits its executions."],
];

function restOfJob(job: Job, shared: JsonObject, book: Notebook): void {
  const { map } = job;
  const machine = map.take("runs-on");
  const isUsual = /^(?:ubuntu|linux)/.test(scalarText(machine?.node) ?? "");
  if (machine !== null)
    book[isUsual ? "changed" : "lost"](
      machine,
      "The machine is not chosen: tasks run where the server runs",
      "For an image: runtime: docker, image: …",
    );
  for (const [key, message, hint] of jobLost) map.leave(key, message, hint);
  const errors = map.take("continue-on-error");
  const isSingle = job.steps.length === 1 || job.joined !== null;
  if (errors !== null && isTrue(errors.node) && isSingle) shared["allowFailure"] = true;
  else if (errors !== null && scalarText(errors.node) !== "false")
    book.lost(errors, "continue-on-error of a job of several steps is not carried over", "Write allowFailure: true at the tasks that may fail.");
  const name = map.take("name");
  if (name !== null) book.changed(name, "A job has no name for people here: its tasks are named for its id");
  map.rest("a job");
}

/** Adds the tasks of a job to the draft. */
export function addJob(job: Job, matrix: JsonObject | null, context: GithubContext): void {
  const { book, names } = context;
  if (job.steps.length === 0) return;
  const { map } = job;
  const scope = (env: Env): ExpressionScope => scopeAt({ job, step: 0, env, status: null }, names);
  const timeoutField = map.take("timeout-minutes");
  const timeout = timeoutField === null ? null : numberOf(timeoutField.node);
  const isSingle = job.steps.length === 1 || job.joined !== null;
  if (timeoutField !== null && (timeout === null || !isSingle))
    book.lost(
      timeoutField,
      `The timeout of the job ${timeout === null ? "is computed, and not carried over" : "became one of each of its tasks"}`,
      "timeout: of the workflow bounds all of it.",
    );
  const shared: JsonObject = { ...matrix, ...containerOf(map, book) };
  const parts: JobParts = {
    context,
    job,
    shared,
    timeout: timeout === null ? null : `${timeout}m`,
    env: readEnv(map.take("env"), context.env, scope, book),
    defaults: readDefaults(map, context.defaults, book),
  };
  restOfJob(job, shared, book);
  if (matrix !== null && job.joined === null && job.steps.length > 1)
    book.lost(job.field, "A step for a matrix starts when the one before it has ended for all combinations, and they share one workspace");
  if (job.gate !== null) addGate(parts, job.gate);
  if (job.joined !== null) return addJoined(parts, job.joined);
  const needs = needsOfSteps(job, context.jobs);
  job.steps.forEach((step, index) => addStep(parts, step, { index, needs: needs[index] ?? [] }));
}
