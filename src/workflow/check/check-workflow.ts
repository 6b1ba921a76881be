// All checks of a workflow, in order: form, then what needs several keys or tasks, then expressions. Every one of them works on the
// raw tree and skips what an earlier one has refused, so that a mistake in one place hides none elsewhere.
import { isObject, type Json, type JsonObject, limits } from "../../base/index.ts";
import { itemsOf, memberOf, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import type { SourceText } from "../source/source-text.ts";
import type { FindActionProblem } from "./action-problem.ts";
import { checkShape } from "./check-shape.ts";
import { checkCondition, checkListSource, checkTemplates, type ExpressionPlace, refuseTemplates } from "./expressions.ts";
import { checkGraph, indexSites, type Upstream } from "./graph.ts";
import { checkInputDeclarations } from "./inputs.ts";
import { workflowShape } from "./keys.ts";
import { executionMembers, type Names, triggerMembers } from "./names.ts";
import { checkNarrowing, checkPermissions } from "./permissions.ts";
import { checkIds, findSites, type TaskSite, textOf, textsOf } from "./sites.ts";
import { actionOf, checkTask, type FindAction, shellAction } from "./task-form.ts";
import { checkTriggers, type TriggerSite } from "./triggers.ts";

export type CheckOptions = {
  source: SourceText;
  report: Report;
  hasFolder: boolean;
  findAction: FindAction;
  findProblem?: FindActionProblem;
  hasImage?: boolean;
  expectId?: string;
};

type Declared = { inputs: Set<string>; vars: Set<string>; secrets: Set<string>; env: Set<string> };
type Workflow = {
  root: RawNode;
  source: SourceText;
  report: Report;
  sites: TaskSite[];
  byId: Map<string, TaskSite>;
  taskIds: string[];
  declared: Declared;
};

function keysOf(node: RawNode | undefined): Set<string> {
  return new Set(node?.kind === "map" ? node.entries.keys() : []);
}

function declaredBy(root: RawNode): Declared {
  return {
    inputs: new Set(itemsOf(memberOf(root, "inputs")).flatMap((node) => textOf(memberOf(node, "id")) ?? [])),
    vars: keysOf(memberOf(root, "vars")),
    secrets: new Set(textsOf(memberOf(root, "secrets"))),
    env: new Set(textsOf(memberOf(memberOf(root, "permissions"), "env"))),
  };
}

function baseRoots({ declared }: Workflow): Map<string, ReadonlySet<string> | null> {
  return new Map<string, ReadonlySet<string> | null>([
    ["inputs", declared.inputs],
    ["vars", declared.vars],
    ["tasks", null],
    ["execution", executionMembers],
    ["trigger", triggerMembers],
    ["env", declared.env],
  ]);
}

/** Handlers and outputs see every task; tasks see what is upstream. `self`: in its own `outputs` a task sees itself. */
function taskNames(workflow: Workflow, site: TaskSite, upstream: Upstream, self: boolean): Names["task"] {
  return (id) => {
    const other = workflow.byId.get(id);
    if (other === undefined) return "unknown";
    if (site.phase !== null || upstream.has(site.index, other.index) || (self && other === site)) return "ok";
    return "not-upstream";
  };
}

function rootsOf(workflow: Workflow, site: TaskSite): Map<string, ReadonlySet<string> | null> {
  const roots = baseRoots(workflow);
  const permissions = memberOf(site.node, "permissions");
  if (permissions !== undefined) roots.set("env", workflow.declared.env.intersection(new Set(textsOf(memberOf(permissions, "env")))));
  return roots;
}

/** The secrets that a task's inputs and env may name. */
function secretsOf(workflow: Workflow, site: TaskSite): ReadonlySet<string> {
  const own = memberOf(site.node, "secrets");
  const { secrets } = workflow.declared;
  return own === undefined ? secrets : secrets.intersection(new Set(textsOf(own)));
}

function checkTaskExpressions(workflow: Workflow, site: TaskSite, upstream: Upstream): void {
  const { report, source, taskIds } = workflow;
  const roots = rootsOf(workflow, site);
  const names: Names = { roots, secrets: workflow.declared.secrets, task: taskNames(workflow, site, upstream, false), taskIds };
  const inner: Names = { ...names, roots: new Map(roots) };
  if (memberOf(site.node, "forEach") !== undefined) inner.roots = new Map([...inner.roots, ["item", null], ["index", null]]);
  const matrix = memberOf(site.node, "matrix");
  if (matrix !== undefined) inner.roots = new Map([...inner.roots, ["matrix", keysOf(matrix)]]);
  const given: Names = { ...inner, roots: new Map([...inner.roots, ["secrets", secretsOf(workflow, site)]]) };

  const shared = { text: source.text, report };
  const at = (key: string, named: Names, check: (place: ExpressionPlace) => void): void => {
    const node = memberOf(site.node, key);
    if (node !== undefined) check({ ...shared, node, path: `${site.path}.${key}`, names: named });
  };
  at("forEach", names, checkListSource);
  if (matrix?.kind === "map")
    for (const [key, { value }] of matrix.entries) checkListSource({ ...shared, node: value, path: `${site.path}.matrix.${key}`, names });
  at("if", inner, checkCondition);
  at("inputs", given, (place) => checkInputExpressions(place, actionOf(site) === shellAction));
  at("env", given, checkTemplates);
  at("outputs", { ...inner, task: taskNames(workflow, site, upstream, true) }, checkTemplates);
  const key = memberOf(memberOf(site.node, "cache"), "key");
  if (key !== undefined) checkTemplates({ ...shared, node: key, path: `${site.path}.cache.key`, names: inner });
}

/** A script is used as it stands; everything else in inputs may hold expressions. */
function checkInputExpressions(place: ExpressionPlace, isShell: boolean): void {
  if (!isShell || place.node.kind !== "map") return checkTemplates(place);
  for (const [key, entry] of place.node.entries) if (key !== "script") checkTemplates({ ...place, node: entry.value, path: `${place.path}.${key}` });
}

function checkTriggerExpressions(workflow: Workflow, triggers: readonly TriggerSite[]): void {
  const { report, source, declared, taskIds } = workflow;
  const names: Names = {
    roots: new Map([
      ["trigger", triggerMembers],
      ["vars", declared.vars],
    ]),
    secrets: declared.secrets,
    task: () => "unknown",
    taskIds,
  };
  for (const { node, path } of triggers) {
    const inputs = memberOf(node, "inputs");
    if (inputs !== undefined) checkTemplates({ node: inputs, path: `${path}.inputs`, names, text: source.text, report });
  }
}

function checkOutputs(workflow: Workflow): void {
  const { root, report, source, declared, byId, taskIds } = workflow;
  const outputs = memberOf(root, "outputs");
  if (outputs === undefined) return;
  const names: Names = { roots: baseRoots(workflow), secrets: declared.secrets, task: (id) => (byId.has(id) ? "ok" : "unknown"), taskIds };
  checkTemplates({ node: outputs, path: "outputs", names, text: source.text, report });
}

function checkConstants({ root, report }: Workflow): void {
  const vars = memberOf(root, "vars");
  if (vars !== undefined) refuseTemplates({ node: vars, path: "vars", report }, "vars");
  for (const [index, input] of itemsOf(memberOf(root, "inputs")).entries()) {
    const given = memberOf(input, "default");
    if (given !== undefined) refuseTemplates({ node: given, path: `inputs[${index}].default`, report }, "Defaults");
  }
}

function checkTaskPermissions({ root, report, sites }: Workflow, hasFolder: boolean): void {
  const granted = memberOf(root, "permissions");
  checkPermissions({ node: granted, path: "permissions", hasFolder, report });
  for (const site of sites) {
    const node = memberOf(site.node, "permissions");
    if (node === undefined) continue;
    const block = { node, path: `${site.path}.permissions`, hasFolder, report };
    checkPermissions(block);
    checkNarrowing(block, granted);
  }
}

function checkIdentity({ root, report, sites }: Workflow, expectId: string | undefined): void {
  const id = memberOf(root, "id");
  const text = textOf(id);
  if (expectId !== undefined && id !== undefined && text !== null && text !== expectId) {
    report.add({ code: "BAD_VALUE", path: "id", message: `The id "${text}" is not "${expectId}", which was asked for`, at: id });
  }
  const last = sites[limits.tasksMax];
  if (last !== undefined)
    report.add({
      code: "BAD_VALUE",
      path: last.path,
      message: `A workflow has at most ${limits.tasksMax} tasks, handlers included`,
      at: { start: last.node.start, end: last.node.start + 1 },
    });
}

/** Checks everything and reports what it finds. Returns the plain values by key: durations in milliseconds, unusable parts left out. */
export function checkWorkflow(root: RawNode, options: CheckOptions): JsonObject {
  const { source, report } = options;
  const form: Json | undefined = checkShape({ node: root, shape: workflowShape, path: "", report });
  if (!isObject(form)) return {};
  const hasForm = !report.hasErrors();
  const sites = findSites(root);
  const byId = indexSites(sites);
  const workflow: Workflow = { root, source, report, sites, byId, taskIds: [...byId.keys()], declared: declaredBy(root) };
  checkIdentity(workflow, options.expectId);
  if (sites.length > limits.tasksMax) return {};
  checkIds(sites, "tasks", report);
  const upstream = checkGraph(sites, byId, report);
  checkInputDeclarations(root, hasForm, report);
  checkTaskPermissions(workflow, options.hasFolder);
  const { findAction, findProblem = () => null, hasImage = false } = options;
  const context = { findAction, findProblem, hasImage, secrets: workflow.declared.secrets, text: source.text, report };
  for (const site of sites) checkTask(site, context);
  const triggers = checkTriggers(root, workflow.declared, report);
  checkConstants(workflow);
  for (const site of sites) checkTaskExpressions(workflow, site, upstream);
  checkTriggerExpressions(workflow, triggers);
  checkOutputs(workflow);
  return form as JsonObject;
}
