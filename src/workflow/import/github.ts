// A workflow of GitHub Actions: what starts it, its inputs, its jobs in the order in which they need each other.
import type { Json, JsonObject } from "../../base/index.ts";
import type { RawNode } from "../source/raw-node.ts";
import type { SourceText } from "../source/source-text.ts";
import { createDraft, type Draft } from "./draft.ts";
import type { Cel } from "./github-expression.ts";
import { readJobs } from "./github-jobs.ts";
import type { Job } from "./github-plan.ts";
import { type Names, scopeAt } from "./github-scope.ts";
import { addJob, readDefaults, readEnv } from "./github-tasks.ts";
import { createNames, inputId, workflowId } from "./names.ts";
import type { Notebook } from "./notes.ts";
import { commentAbove, type Field, isTrue, itemFields, openMap, scalarText, type SourceMap } from "./source-map.ts";

export type YamlImport = { source: SourceText; stem: string; book: Notebook };
type Inputs = Map<string, { id: string; type: Cel["type"] }>;

const inputForms: Record<string, { type: string; cel: Cel["type"] }> = {
  string: { type: "string", cel: "string" },
  choice: { type: "string", cel: "string" },
  environment: { type: "string", cel: "string" },
  boolean: { type: "boolean", cel: "bool" },
  number: { type: "number", cel: "number" },
};

function inputDefault(type: string, node: RawNode): Json | undefined {
  const text = scalarText(node) ?? "";
  if (type === "boolean") return text === "true" || text === "false" ? text === "true" : undefined;
  if (type === "number") return text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
  return text;
}

function addInput(field: Field, draft: Draft, inputs: Inputs, book: Notebook): void {
  const map = openMap(field, book);
  const kind = map.take("type");
  const said = scalarText(kind?.node) ?? "string";
  const form = inputForms[said];
  if (form === undefined && kind !== null) book.lost(kind, `The type "${said.slice(0, 50)}" does not exist here: the input is a string`);
  const { type, cel } = form ?? { type: "string", cel: "string" as const };
  const id = inputId(field.key);
  const value: JsonObject = { id, type };
  const description = scalarText(map.take("description")?.node);
  const isRequired = map.take("required");
  const given = map.take("default");
  const options = map.take("options");
  if (given !== null) {
    const made = inputDefault(type, given.node);
    if (made === undefined) book.lost(given, "The default does not fit the type, and is not carried over");
    else value["default"] = made;
  } else if (isRequired !== null && isTrue(isRequired.node)) value["required"] = true;
  // Without a default an input is the type's empty value there.
  else value["default"] = type === "boolean" ? false : type === "number" ? 0 : "";
  if (options !== null) {
    const list = itemFields(options).flatMap(({ node }) => scalarText(node) ?? []);
    value["enum"] = value["default"] === "" ? ["", ...list] : list;
  }
  if (description !== null && description !== "") value["description"] = description;
  map.leave("deprecationMessage", "The message is not carried over");
  map.rest("an input");
  if (inputs.has(field.key)) return;
  inputs.set(field.key, { id, type: cel });
  draft.inputs.push({ value, place: field, comment: commentAbove("", 0) });
}

function addSchedules(field: Field, draft: Draft, book: Notebook): void {
  const unique = createNames();
  for (const item of itemFields(field)) {
    const map = openMap(item, book);
    const cron = map.take("cron");
    const timezone = scalarText(map.take("timezone")?.node);
    map.rest("a schedule");
    const text = scalarText(cron?.node);
    if (cron === null || text === null) continue;
    const value = { id: unique("schedule"), type: "cron", cron: text, ...(timezone === null ? {} : { timezone }) };
    draft.triggers.push({ value, place: cron, comment: null });
  }
}

function addCall(field: Field, draft: Draft, inputs: Inputs, book: Notebook): void {
  if (field.node.kind !== "map") return;
  const map = openMap(field, book);
  const given = map.take("inputs");
  if (given !== null) for (const input of openMap(given, book).takeAll()) addInput(input, draft, inputs, book);
  const secrets = map.take("secrets");
  if (secrets !== null) book.changed(secrets, "Secrets that scripts use are listed under secrets:");
  map.leave("outputs", "Outputs of a called workflow are not carried over", "Write outputs: with an expression for each.");
  map.rest(`"${field.key}"`);
}

/** What starts it: times and people carry over; what happens at GitHub reaches a server here through a webhook only. */
function addStarts(field: Field, draft: Draft, inputs: Inputs, book: Notebook): void {
  const events: Field[] =
    field.node.kind === "map" ? openMap(field, book).takeAll() : itemFields(field).map((one) => ({ ...one, key: scalarText(one.node) ?? "" }));
  for (const event of events) {
    if (event.key === "schedule") addSchedules(event, draft, book);
    else if (event.key === "workflow_dispatch" || event.key === "workflow_call") addCall(event, draft, inputs, book);
    else {
      const hint = `triggers: [{ id: ${event.key.slice(0, 40)}, type: webhook, path: github, secret: HOOK_KEY }], and a webhook at GitHub with that secret`;
      book.lost(event, `The event "${event.key.slice(0, 50)}" does not start this workflow`, hint);
    }
  }
}

function addConcurrency(field: Field, draft: Draft, book: Notebook): void {
  const map = field.node.kind === "map" ? openMap(field, book) : null;
  const group = map === null ? field : map.take("group");
  const cancel = map?.take("cancel-in-progress") ?? null;
  map?.rest("concurrency");
  draft.concurrency = { limit: 1, onLimit: cancel !== null && isTrue(cancel.node) ? "cancel_running" : "queue" };
  const isComputed = cancel !== null && (scalarText(cancel.node) ?? "").includes("${{");
  if (isComputed) book.lost(cancel, "A computed cancel-in-progress is not carried over: further executions wait", "Write onLimit: cancel_running");
  if (group === null) return;
  book.changed(group, "The limit is on executions of this workflow, whatever the group: one at a time");
}

/** Jobs after those that they need; those that need each other stay as they stand. */
function inOrder(jobs: ReadonlyMap<string, Job>): Job[] {
  const done = new Set<Job>();
  const open = new Set<Job>();
  const visit = (job: Job): void => {
    if (done.has(job) || open.has(job)) return;
    open.add(job);
    for (const id of job.needs) {
      const need = jobs.get(id);
      if (need !== undefined) visit(need);
    }
    done.add(job);
  };
  for (const job of jobs.values()) visit(job);
  return [...done];
}

function noteNeeds(jobs: ReadonlyMap<string, Job>, book: Notebook): void {
  for (const job of jobs.values()) {
    for (const id of job.needs) {
      const need = jobs.get(id);
      if (need === undefined) book.lost(job.field, `The job "${job.id}" needs "${id.slice(0, 100)}", which does not exist`);
      else if (need.steps.length === 0 && job.steps.length > 0)
        book.lost(job.field, `The job "${job.id}" needs "${id}", which is not carried over: it needs what that one needs instead`);
    }
  }
}

function readTop(map: SourceMap, draft: Draft, book: Notebook): Inputs {
  const inputs: Inputs = new Map();
  const on = map.take("on") ?? map.take("true");
  if (on !== null) addStarts(on, draft, inputs, book);
  const concurrency = map.take("concurrency");
  if (concurrency !== null) addConcurrency(concurrency, draft, book);
  map.leave("permissions", "The rights of the token are not carried over", "A token is a secret: workflow secrets set GITHUB_TOKEN.");
  map.leave("run-name", "The name of a run is not carried over");
  return inputs;
}

const emptyJob = (field: Field, map: SourceMap): Job => ({
  id: "",
  field,
  map,
  needs: [],
  condition: null,
  isOpaque: false,
  steps: [],
  lostSteps: new Set<string>(),
  matrix: null,
  joined: null,
  gate: null,
  outputs: new Map<string, Field>(),
});

/** The workflow as a draft. */
export function importGithub(root: RawNode, { source, stem, book }: YamlImport): Draft {
  const place = { at: root.start, path: "" };
  const map = openMap({ node: root, ...place }, book);
  const name = scalarText(map.take("name")?.node);
  const draft = createDraft(workflowId(name ?? "", stem), place);
  draft.name = name;
  draft.comment = commentAbove(source.text, root.start);
  const inputs = readTop(map, draft, book);
  const jobsField = map.take("jobs");
  const jobs = jobsField === null ? { jobs: new Map<string, Job>(), matrixOf: new Map<string, JsonObject>() } : readJobs(jobsField, book);
  const names: Names = { jobs: jobs.jobs, inputs, workflowName: name ?? stem, secrets: draft.secrets, depth: 0 };
  const nowhere = emptyJob({ ...place, key: "", node: root }, map);
  const env = readEnv(map.take("env"), new Map(), (outer) => scopeAt({ job: nowhere, step: null, env: outer, status: null }, names), book);
  const defaults = readDefaults(map, { shell: null, folder: null }, book);
  map.rest("a workflow");
  noteNeeds(jobs.jobs, book);
  const context = { draft, text: source.text, jobs: jobs.jobs, names, defaults, env, book };
  for (const job of inOrder(jobs.jobs)) addJob(job, jobs.matrixOf.get(job.id) ?? null, context);
  if (draft.tasks.length > 0) {
    book.changed(
      { at: root.start, path: "" },
      "Steps run in bash -euo pipefail, sh -eu: a variable that is not set ends a script too",
      'Write "${NAME:-}".',
    );
    book.changed(
      { at: root.start, path: "" },
      "All tasks of an execution share one workspace, which is empty at its start",
      "For the repository: a first task of type core/git.clone.",
    );
  }
  return draft;
}
