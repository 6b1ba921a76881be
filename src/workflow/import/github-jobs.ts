// Jobs of a workflow of GitHub Actions: read into a plan, matrix included. Steps that use an action of theirs are reported here.
import { type Json, type JsonObject, limits } from "../../base/index.ts";
import { memberOf, toJson } from "../source/raw-node.ts";
import { isComplex, isOpaqueText, type Job, type Matrix, needsGate, type Step } from "./github-plan.ts";
import { createNames, inputId, taskId } from "./names.ts";
import type { Notebook } from "./notes.ts";
import { type Field, isTrue, itemFields, numberOf, openMap, scalarText, type SourceMap } from "./source-map.ts";

/** What to write instead of the actions that nearly every workflow uses. */
const actionHints: readonly [RegExp, string][] = [
  [/^actions\/checkout\b/, 'Write a task of type core/git.clone with inputs { url: "https://…", to: "." }, which the first step needs.'],
  [/^actions\/setup-\w+/, "Install it on the machine, or use runtime: docker with an image that has it."],
  [/^actions\/cache\b/, "Write cache: { key, ttl } at the task whose result can be used again."],
  [/^actions\/(?:upload|download)-artifact\b/, "The workspace is shared by all tasks; files to keep go to $TMPDIR/out."],
  [/^actions\/github-script\b/, "Write a task of type core/http.request, or a script with shell: bun."],
  [/^docker\//, "Write a run: task that calls docker, or a task of type core/docker.run."],
];

function hintOf(uses: string): string {
  const known = actionHints.find(([pattern]) => pattern.test(uses));
  return known?.[1] ?? "Write a run: task that does the same, or a plugin: workflow plugin init.";
}

function isBaseList(field: Field): boolean {
  return field.node.kind === "list" && field.node.items.length > 0;
}

/** The expression language knows names with hyphens only in brackets; keys of a matrix are plain names. */
function axisName(key: string, taken: ReadonlySet<string>): string {
  const plain = inputId(key).replaceAll("-", "_");
  return taken.has(plain) ? axisName(`${plain}_`, taken) : plain;
}

export type MatrixValues = { matrix: Matrix; task: JsonObject };

function includeOnly(include: Field, book: Notebook): MatrixValues | null {
  const items = toJson(include.node);
  if (!Array.isArray(items) || items.length === 0 || !items.every((item) => typeof item === "object" && item !== null && !Array.isArray(item))) {
    book.lost(include, '"include" is not a list of maps, and is not carried over');
    return null;
  }
  const maps = items as JsonObject[];
  const keys = [...new Set(maps.flatMap((item) => Object.keys(item)))];
  const names: Matrix["names"] = new Map(
    keys.map((key) => {
      const isString = maps.every((item) => typeof item[key] === "string");
      return [key, { name: key, type: isString ? ("string" as const) : ("any" as const), isMissing: maps.some((item) => !Object.hasOwn(item, key)) }];
    }),
  );
  book.changed(include, "A matrix of written-out combinations became forEach; matrix.x is item.x");
  return { matrix: { as: "item", names }, task: { forEach: maps } };
}

/** `task` holds the keys for each task of the job; null where there is no matrix that can be carried over. */
function readMatrix(field: Field, book: Notebook): MatrixValues | null {
  if (field.node.kind !== "map") {
    book.lost(field, "A matrix that is computed is not carried over", 'Write it out, or forEach: "{{ … }}" with an expression that gives a list.');
    return null;
  }
  const map = openMap(field, book);
  const include = map.take("include");
  const axes = map.takeAll().filter((one) => one.key !== "include" && one.key !== "exclude");
  if (axes.length === 0 && include !== null) return includeOnly(include, book);
  const instead = "Write the combinations out as forEach: [{ … }], with item.x instead of matrix.x.";
  if (include !== null) book.lost(include, '"include" of a matrix is not carried over: only the combinations of its lists run', instead);
  map.leave("exclude", '"exclude" of a matrix is not carried over: all combinations of its lists run', instead);
  const names: Matrix["names"] = new Map();
  const values: Record<string, Json> = {};
  for (const axis of axes) {
    const name = axisName(axis.key, new Set(Object.keys(values)));
    if (!isBaseList(axis)) {
      book.lost(axis, "This list of a matrix is computed, and is not carried over", "Write it out.");
      continue;
    }
    if (name !== axis.key) book.changed(axis, `matrix.${axis.key} is matrix.${name}`);
    const list = toJson(axis.node) as Json[];
    names.set(axis.key, { name, type: list.every((one) => typeof one === "string") ? "string" : "any", isMissing: false });
    values[name] = list;
  }
  return names.size === 0 ? null : { matrix: { as: "matrix", names }, task: { matrix: values } };
}

function readStrategy(map: SourceMap, book: Notebook): MatrixValues | null {
  const field = map.take("strategy");
  if (field === null) return null;
  const strategy = openMap(field, book);
  const matrix = strategy.take("matrix");
  const found = matrix === null ? null : readMatrix(matrix, book);
  const parallel = strategy.take("max-parallel");
  const count = parallel === null ? null : numberOf(parallel.node);
  if (parallel !== null && (count === null || found === null))
    book.lost(parallel, '"max-parallel" is not carried over', "Write concurrency: at the task.");
  if (count !== null && found !== null) found.task["concurrency"] = count;
  strategy.leave("fail-fast", '"fail-fast" is not carried over: a combination that fails stops no other one');
  strategy.rest("strategy");
  return found;
}

function readNeeds(map: SourceMap): string[] {
  const field = map.take("needs");
  return field === null ? [] : itemFields(field).flatMap(({ node }) => scalarText(node) ?? []);
}

function readOutputs(map: SourceMap, book: Notebook): Map<string, Field> {
  const field = map.take("outputs");
  if (field === null) return new Map();
  book.changed(field, "Outputs of a job are read from its steps, where another job names them");
  return new Map(
    openMap(field, book)
      .takeAll()
      .map((one) => [one.key, one]),
  );
}

type StepNames = { jobId: string; isOnly: boolean; unique: (wanted: string) => string; book: Notebook };

function readStep(field: Field, index: number, { jobId, isOnly, unique, book }: StepNames): Step | string | null {
  const map = openMap(field, book);
  const id = scalarText(map.take("id")?.node);
  const uses = map.take("uses");
  if (uses !== null) {
    const action = scalarText(uses.node) ?? "";
    map.takeAll();
    const rest = id === null ? "" : `; its outputs count as empty`;
    const place = { at: uses.at, path: field.path };
    book.lost(place, `The action "${action.slice(0, 200)}" is not carried over, nor is anything else of this step${rest}`, hintOf(action));
    return id;
  }
  const run = map.take("run");
  const script = scalarText(run?.node);
  if (run === null || script === null || script === "") {
    map.takeAll();
    book.lost(field, "A step without a script is not carried over");
    return id;
  }
  const named = id ?? scalarText(map.take("name")?.node) ?? "";
  const wanted = isOnly ? jobId : `${jobId}-${taskId(named.toLowerCase(), `step-${index + 1}`).replace(/^t-/, "")}`;
  const condition = map.take("if");
  const errors = memberOf(field.node, "continue-on-error");
  const mayFail = errors !== undefined && isTrue(errors);
  return { map, field, id, taskId: unique(wanted), run, condition, isOpaque: isOpaqueText(scalarText(condition?.node) ?? ""), mayFail };
}

export type ReadJobs = { jobs: Map<string, Job> /** Keys for all tasks of a job, by its id. */; matrixOf: Map<string, JsonObject> };

function isRun(field: Field): boolean {
  return field.node.kind === "map" && field.node.entries.has("run") && !field.node.entries.has("uses");
}

function readJob(field: Field, unique: (wanted: string) => string, book: Notebook): { job: Job; matrix: JsonObject | null } {
  const map = openMap(field, book);
  const condition = map.take("if");
  const strategy = readStrategy(map, book);
  const list = map.take("steps");
  const all = list === null ? [] : itemFields(list);
  const fields = all.length > limits.tasksMax ? [] : all;
  const jobId = taskId(field.key, "job");
  // The id of the job is kept for its only task, or for the task that decides whether the job runs.
  const isOnly = fields.filter(isRun).length === 1;
  const found = fields.map((one, index) => readStep(one, index, { jobId, isOnly, unique, book }));
  const steps = found.filter((one) => typeof one === "object" && one !== null);
  const lostSteps = new Set(found.filter((one) => typeof one === "string"));
  const isOpaque = isOpaqueText(scalarText(condition?.node) ?? "");
  const job: Job = {
    id: field.key,
    field,
    map,
    needs: readNeeds(map),
    condition,
    isOpaque,
    steps,
    lostSteps,
    matrix: strategy?.matrix ?? null,
    joined: null,
    gate: null,
    outputs: readOutputs(map, book),
  };
  if (steps.length === 0) noteNoSteps(job, book);
  if (needsGate(job)) job.gate = unique(isOnly ? `${jobId}-starts` : jobId);
  return { job, matrix: strategy?.task ?? null };
}

function noteNoSteps({ map, field }: Job, book: Notebook): void {
  const uses = map.take("uses");
  const hint = uses === null ? undefined : "Import the other workflow, and write a task of type core/workflow.run.";
  map.takeAll();
  book.lost(field, `The job "${field.key}" is not carried over: it has no step with a script`, hint);
}

/**
 * Steps of one combination follow each other, and do not wait for those of another: as one script, where nothing of a step needs a task
 * of its own. Values that two steps would give one variable do.
 */
function canJoin(job: Job): boolean {
  if (isComplex(job) || job.steps.some((step) => step.id !== null)) return false;
  const has = (step: Step, key: string) => memberOf(step.field.node, key) !== undefined;
  if (job.steps.some((step) => has(step, "continue-on-error") || has(step, "timeout-minutes"))) return false;
  const shells = new Set(job.steps.map((step) => scalarText(memberOf(step.field.node, "shell"))));
  const variables = job.steps.flatMap((step) => {
    const env = memberOf(step.field.node, "env");
    return env?.kind === "map" ? [...env.entries.keys()] : [];
  });
  return shells.size === 1 && /^(?:null|bash|sh)$/.test(String([...shells][0])) && new Set(variables).size === variables.length;
}

export function readJobs(field: Field, book: Notebook): ReadJobs {
  const unique = createNames();
  const read: ReadJobs = { jobs: new Map(), matrixOf: new Map() };
  for (const one of openMap(field, book).takeAll()) {
    const { job, matrix } = readJob(one, unique, book);
    read.jobs.set(job.id, job);
    if (matrix !== null) read.matrixOf.set(job.id, matrix);
  }
  for (const job of read.jobs.values()) {
    if (job.matrix !== null && job.steps.length > 1 && canJoin(job)) job.joined = unique(taskId(job.id, "job"));
  }
  return read;
}
