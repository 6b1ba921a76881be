// A DAG of Dagu: its starts, parameters, steps in order, handlers.
import type { JsonObject } from "../../base/index.ts";
import type { RawNode } from "../source/raw-node.ts";
import { readPreconditions } from "./dagu-conditions.ts";
import { type DaguStep, readSteps, takeKey, upstreamOf } from "./dagu-plan.ts";
import { type DaguContext, taskOfStep, variablesOf } from "./dagu-task.ts";
import { addEnv, addParams, type Variables } from "./dagu-variables.ts";
import { createDraft, type Draft, type DraftItem } from "./draft.ts";
import type { YamlImport } from "./github.ts";
import { createNames, workflowId } from "./names.ts";
import type { Notebook } from "./notes.ts";
import { commentAbove, type Field, isTrue, itemFields, numberOf, openMap, scalarText, type SourceMap } from "./source-map.ts";
import { allOf, expression } from "./texts.ts";

function addSchedule(field: Field, draft: Draft, book: Notebook): void {
  const unique = createNames();
  const add = (one: Field): void => {
    const text = scalarText(one.node) ?? "";
    const zone = /^(?:CRON_TZ|TZ)=(\S+)\s+(.*)$/.exec(text);
    if (text === "") return;
    const timezone = zone === null ? {} : { timezone: zone[1] ?? "" };
    draft.triggers.push({ value: { id: unique("schedule"), type: "cron", cron: zone?.[2] ?? text, ...timezone }, place: one, comment: null });
  };
  if (field.node.kind === "map") {
    const map = openMap(field, book);
    const start = map.take("start");
    if (start !== null) for (const one of itemFields(start)) add(one);
    map.leave("stop", "Nothing stops an execution by the clock", "Write timeout: at the workflow.");
    map.leave("restart", "Nothing restarts an execution by the clock");
    map.rest("schedule");
  } else for (const one of itemFields(field)) add(one);
  if (draft.triggers.some(({ value }) => value["timezone"] === undefined))
    book.changed(field, "Dagu counts in the time zone of its server, the result in UTC", "Add timezone: to the trigger.");
}

function addLabels(map: SourceMap, draft: Draft, book: Notebook): void {
  const group = scalarText(map.take("group")?.node);
  if (group !== null && group !== "") draft.labels["group"] = group;
  const tags = map.take("tags") ?? map.take("labels");
  if (tags === null) return;
  if (tags.node.kind === "map") {
    for (const one of openMap(tags, book).takeAll()) draft.labels[one.key] = scalarText(one.node) ?? "";
    return;
  }
  const list = itemFields(tags).flatMap(({ node }) => (scalarText(node) ?? "").split(/[,\s]+/));
  for (const tag of list.filter((one) => one !== "")) {
    const [key = "", ...value] = tag.split("=");
    if (key !== "__proto__") draft.labels[key] = value.length === 0 ? "true" : value.join("=");
  }
}

const topLost: readonly (readonly [string, string, string?])[] = [
  ["logDir", "Logs are kept in the store: workflow execution logs ID"],
  ["logOutput", "Both streams go to the one log of a task"],
  ["histRetentionDays", "How long executions are kept is a setting of the server", "storage: { retentionDays: N } in autokestra.yaml"],
  ["mailOn", "Mails are not carried over", "Write an onFailure: task of type core/email.send."],
  ["errorMail", "Mails are not carried over", "Write an onFailure: task of type core/email.send."],
  ["infoMail", "Mails are not carried over", "Write a finally: task of type core/email.send."],
  ["waitMail", "Mails are not carried over", "Write a task of type core/email.send."],
  ["delaySec", "The delay is not carried over", "Write a first task of type core/wait.for with inputs { duration: 5s }."],
  ["restartWaitSec", "Nothing restarts an execution by the clock"],
  ["maxActiveSteps", "How many tasks run at once is a setting of the server", "execution: { maxConcurrentTasks: N } in autokestra.yaml"],
  ["maxCleanUpTimeSec", "How long a task may take to end is a setting of the server", "execution: { killGrace: 5s } in autokestra.yaml"],
  ["maxOutputSize", "Outputs are bounded: standard output to its last 64 KiB"],
  ["skipIfSuccessful", "A start that follows a success is not skipped"],
  ["catchupWindow", "Missed starts are not carried over", "Write catchUp: last at the trigger."],
  ["overlapPolicy", "What further starts do is onLimit: of concurrency"],
  ["queue", "Queues are not carried over", "concurrency: { limit: N, onLimit: queue } bounds one workflow."],
  ["dotenv", "Files with variables are not read", "Write them as env:, or keep them as secrets: workflow secrets set NAME."],
  [
    "secrets",
    "Secrets of other stores are not carried over",
    'workflow secrets set NAME, then secrets: [NAME] and env: { NAME: "{{ secrets.NAME }}" }',
  ],
  ["registryAuths", "Logins at registries are not carried over", "Log the container engine of the server in."],
  ["ssh", "The connection for all ssh steps is not carried over", "Write host:, user: and identityFile: at each task."],
  ["runConfig", "How people may start it is not carried over"],
  ["workerSelector", "There are no workers to choose from"],
  ["otel", "Traces of OpenTelemetry are not carried over"],
  ["defaults", "Defaults of all steps are not carried over", "Write them at each task."],
  ["tools", "Tools are not installed", "Install them on the machine, or use runtime: docker with an image that has them."],
];

function addLimits(map: SourceMap, draft: Draft, book: Notebook): void {
  const runs = takeKey(map, "maxActiveRuns");
  const count = runs === null ? null : numberOf(runs.node);
  if (runs !== null && (count === null || count < 1)) book.changed(runs, "Executions are not limited");
  else if (count !== null) draft.concurrency = { limit: count, onLimit: "queue" };
  const timeout = takeKey(map, "timeoutSec");
  const seconds = timeout === null ? null : numberOf(timeout.node);
  if (timeout !== null && seconds === null) book.lost(timeout, "A timeout that is computed is not carried over");
  if (seconds !== null && seconds > 0) draft.timeout = `${seconds}s`;
  for (const [key, message, hint] of topLost) {
    const field = takeKey(map, key);
    if (field !== null) book.lost(field, message, hint);
  }
}

function putIf(item: DraftItem, parts: readonly string[]): void {
  if (parts.length === 0 || item.value["if"] === false) return;
  item.value["if"] = expression(allOf(...parts));
}

function prependNeed(item: DraftItem, id: string): void {
  const { id: own = "", needs = [], ...rest } = item.value;
  item.value = { id: own, needs: [id, ...(needs as string[])], ...rest };
}

type Build = { context: DaguContext; steps: ReadonlyMap<string, DaguStep>; unique: (wanted: string) => string; draft: Draft };

const goesOn = (step: DaguStep | undefined): boolean => step?.goesOn.failure === true || step?.goesOn.skipped === true;

function addStep(step: DaguStep, { context, steps, unique, draft }: Build): void {
  const ids = upstreamOf(step.needs, steps);
  const variables = variablesOf(step, { ids, isCertain: [...ids].every((id) => !goesOn(steps.get(id))) }, context);
  const conditions = step.map?.take("preconditions") ?? step.map?.take("precondition") ?? null;
  // What it needs may have been skipped and still let it run; success() would not hold then.
  const looksPast = step.needs.some((id) => steps.get(id)?.goesOn.skipped === true) ? ["!failure()"] : [];
  const task: JsonObject = {
    ...(step.needs.length === 0 ? {} : { needs: step.needs }),
    ...(looksPast.length === 0 ? {} : { if: expression("!failure()") }),
  };
  const guard = readPreconditions(conditions, { id: conditions === null ? "" : unique(`${step.taskId}-check`), task, variables, book: context.book });
  const item = taskOfStep(step, variables, context);
  putIf(item, [...looksPast, ...guard.parts]);
  if (guard.check !== null) {
    draft.tasks.push(guard.check);
    prependNeed(item, String(guard.check.value["id"]));
  }
  draft.tasks.push(item);
}

/** Preconditions of the whole DAG, and what runs before all steps: every step that needs nothing needs them. */
function addBefore(map: SourceMap, init: DraftItem | null, { context, unique, draft }: Build): void {
  const conditions = map.take("preconditions") ?? map.take("precondition");
  const id = conditions === null ? "" : unique("precondition");
  const guard = readPreconditions(conditions, { id, task: {}, variables: context.variables, book: context.book });
  const check: DraftItem | null =
    guard.check ??
    (guard.parts.length === 0 || conditions === null ? null : { value: { id, type: "core/value.set" }, place: conditions, comment: "Precondition" });
  const roots = draft.tasks.filter(({ value }) => value["needs"] === undefined);
  let last = check;
  if (check !== null && guard.check === null) putIf(check, guard.parts);
  const isChecked = guard.check !== null;
  if (init !== null) {
    if (last !== null) prependNeed(init, id);
    if (isChecked) putIf(init, guard.parts);
    last = init;
  }
  if (last === null) return;
  for (const root of roots) {
    prependNeed(root, String(last.value["id"]));
    if (isChecked && init === null) addPart(root, guard.parts);
  }
  draft.tasks.unshift(...[check, init].filter((item) => item !== null));
}

function addPart(item: DraftItem, parts: readonly string[]): void {
  const before = item.value["if"];
  const own = typeof before === "string" ? [before.replace(/^\{\{ | \}\}$/g, "")] : [];
  putIf(item, [...parts, ...own]);
}

function handlerStep(field: Field, wanted: string, { context, unique }: Build): DraftItem | null {
  const [step] = readSteps({ ...field, node: { kind: "list", items: [field.node], start: field.at, end: field.at, height: 0, size: 0 } }, null, {
    unique: () => unique(wanted),
    book: context.book,
  });
  return step === undefined
    ? null
    : taskOfStep(step, variablesOf(step, { ids: wanted === "init" ? new Set() : null, isCertain: false }, context), context);
}

/** Handlers that have a place here; returns what runs before all steps. */
function addHandlers(map: SourceMap, build: Build): DraftItem | null {
  const field = takeKey(map, "handlerOn");
  if (field === null) return null;
  const { draft, context } = build;
  const handlers = openMap(field, context.book);
  const make = (key: string, id: string): DraftItem | null => {
    const one = handlers.take(key);
    return one === null ? null : handlerStep(one, id, build);
  };
  const failure = make("failure", "on-failure");
  if (failure !== null) draft.onFailure.push(failure);
  const success = make("success", "on-success");
  if (success !== null) {
    putIf(success, ["success()"]);
    draft.finally.push(success);
  }
  const exit = make("exit", "on-exit");
  if (exit !== null) draft.finally.push(exit);
  for (const key of ["cancel", "abort", "wait"])
    handlers.leave(key, `The handler "${key}" is not carried over`, "Tasks of finally: run after a cancel too.");
  const init = make("init", "init");
  handlers.rest("handlerOn");
  return init;
}

function readVariables(map: SourceMap, draft: Draft, book: Notebook): Variables {
  const variables: Variables = new Map();
  const params = map.take("params");
  if (params !== null) addParams(params, { inputs: draft.inputs, variables, book });
  const env = map.take("env");
  if (env !== null) addEnv(env, variables, book);
  return variables;
}

/** The DAG as a draft. */
export function importDagu(root: RawNode, { source, stem, book }: YamlImport): Draft {
  const place = { at: root.start, path: "" };
  const map = openMap({ node: root, ...place }, book);
  const name = scalarText(map.take("name")?.node);
  const draft = createDraft(workflowId(name ?? "", stem), place);
  draft.name = name;
  draft.description = scalarText(map.take("description")?.node);
  draft.comment = commentAbove(source.text, root.start);
  const schedule = map.take("schedule");
  if (schedule !== null) addSchedule(schedule, draft, book);
  addLabels(map, draft, book);
  const variables = readVariables(map, draft, book);
  const unique = createNames();
  const list = readSteps(map.take("steps"), map.take("type"), { unique, book });
  const steps = new Map(list.map((step) => [step.taskId, step]));
  const outputs = new Map(list.flatMap((step) => (step.output === null ? [] : [[step.output, step] as const])));
  const smtp = map.take("smtp");
  const context: DaguContext = {
    text: source.text,
    secrets: draft.secrets,
    variables,
    outputs,
    name: name ?? stem,
    book,
    shell: map.take("shell"),
    folder: takeKey(map, "workingDir"),
    container: map.take("container"),
    smtp: smtp === null ? null : openMap(smtp, book),
  };
  const build: Build = { context, steps, unique, draft };
  for (const step of list) addStep(step, build);
  addBefore(map, addHandlers(map, build), build);
  addLimits(map, draft, book);
  const steady = takeKey(map, "preserveWorkDir");
  if (steady !== null && isTrue(steady.node)) book.lost(steady, "The workspace is removed at the end", "workflow run --keep-workspace");
  context.smtp?.rest("smtp", "no step of the executor mail uses it");
  map.rest("a DAG");
  if (draft.tasks.length > 0)
    book.changed(place, "Steps run in sh -eu: a command that fails and a variable that is not set end them", 'Write "|| true" and "${NAME:-}".');
  return draft;
}
