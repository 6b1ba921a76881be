// What would run: order, inputs as far as they are known, what each task asks for and gets, next times. For `workflow plan`; nothing runs.
import { isObject, type Json, type JsonObject, toIso } from "../base/index.ts";
import {
  type ActionDescription,
  type BareFolder,
  bareFolderOf,
  decidePermissions,
  type EffectivePermissions,
  findCoreAction,
  type PermissionFinding,
  type Permissions,
  type RetryPolicy,
  type TaskDefinition,
  type TriggerDefinition,
  type WorkflowDefinition,
} from "../model/index.ts";
import { mask, Masker } from "../secrets/index.ts";
import { describeProblem, type FindActionProblem } from "./check/action-problem.ts";
import { type FindAction, shellAction } from "./check/task-form.ts";
import { nextCronTimes } from "./schedule/cron-times.ts";
import { parseExpression } from "./expression/expression.ts";
import type { Scope } from "./expression/scope.ts";
import { createTemplate } from "./expression/template.ts";
import { hasTemplate, soleExpression, splitTemplate, type TemplatePart } from "./expression/template-text.ts";
import { findLevels } from "./levels.ts";
import { setMember } from "./source/raw-node.ts";
import { sensitiveTexts } from "./sensitive-texts.ts";
import { partsNotRun, type UnavailablePart } from "./unavailable-parts.ts";

export type PlannedTask = {
  id: string;
  action: string;
  needs: string[];
  if: string | null;
  /** Expressions that need an execution are left as they stand. */
  inputs: JsonObject;
  env: JsonObject;
  /** What an attempt may do; entries as they were written. */
  permissions: EffectivePermissions;
  /** Every entry that the action asks for, as far as its inputs are known: who allows it, or who does not and the line that would. */
  asked: PermissionFinding[];
  retry: RetryPolicy;
  timeoutMs: number | null;
  runtime: "process" | "docker";
};

/** Times are RFC 3339. `levels`: tasks of one level can run at the same time, those of the next after them. */
export type WorkflowPlan = {
  id: string;
  levels: string[][];
  tasks: PlannedTask[];
  onFailure: PlannedTask[];
  finally: PlannedTask[];
  triggers: { id: string; type: TriggerDefinition["type"]; next: string[] }[];
  timeoutMs: number | null;
  notAvailableYet: UnavailablePart[];
  /** Plugins that a run would be refused for: `path` of the first task that uses the action, `what` to tell, `hint` what to do. */
  refused: (UnavailablePart & { hint: string })[];
};

const nextTimesShown = 3;

/**
 * What is known before an execution. Secrets and sensitive inputs are masks in it; `hidden` are the names of the latter. `masker` finds
 * their texts in what else is shown, as in an execution: another input may hold the same.
 */
type Known = { scope: Scope; hidden: ReadonlySet<string>; masker: Masker };

function findKnown(definition: WorkflowDefinition, inputs: JsonObject | null): Known {
  const hidden = new Set(definition.inputs.flatMap((input) => (input.sensitive ? [input.id] : [])));
  const masker = new Masker();
  masker.add(sensitiveTexts(definition, inputs ?? {}));
  const roots: Record<string, JsonObject> = { vars: definition.vars, secrets: Object.fromEntries(definition.secrets.map((name) => [name, mask])) };
  if (inputs !== null) {
    const shown: JsonObject = {};
    for (const [key, value] of Object.entries(inputs)) setMember(shown, key, hidden.has(key) ? mask : value);
    roots["inputs"] = shown;
  }
  return { scope: { roots, status: { success: true, failure: false } }, hidden, masker };
}

/** Whether all that a text's expressions name is known before an execution. */
function isKnown(parts: readonly TemplatePart[], { scope }: Known): boolean {
  return parts.every((part) => {
    if (!("expression" in part)) return true;
    const { expression } = parseExpression(part.expression);
    return expression !== null && !expression.callsStatus && expression.references.every(({ root }) => Object.hasOwn(scope.roots, root));
  });
}

/** Whether an expression reads what is masked: what it makes of the mask says nothing, and could be taken for what it will make. */
function isHidden(text: string, { hidden }: Known): boolean {
  return parseExpression(text).references.some(
    ({ root, steps: [first] }) => root === "secrets" || (root === "inputs" && first !== undefined && hidden.has(String(first.key))),
  );
}

function resolveText(text: string, known: Known): Json {
  if (!hasTemplate(text)) return text;
  const { parts, problem } = splitTemplate(text);
  if (problem !== null || !isKnown(parts, known)) return text;
  const evaluate = (expression: string): Json => (isHidden(expression, known) ? mask : createTemplate(`{{${expression}}}`).evaluate(known.scope));
  try {
    const sole = soleExpression(parts);
    if (sole !== null) return evaluate(sole.expression);
    const shown = parts.map((part) => ("literal" in part ? part.literal : evaluate(part.expression)));
    return shown.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join("");
  } catch {
    // A masked or missing value can make an expression fail that will work; its text says more than an error.
    return text;
  }
}

function resolve(value: Json, known: Known): Json {
  if (typeof value === "string") return resolveText(value, known);
  if (Array.isArray(value)) return value.map((item) => resolve(item, known));
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, member] of Object.entries(value)) setMember(out, key, resolve(member as Json, known));
  return out;
}

/** What beside the workflow decides; `now` in milliseconds, for the next cron times. */
export type PlanFacts = {
  now: number;
  /** Checked inputs, null when none are known. */
  inputs: JsonObject | null;
  /** Actions beside the built-in ones; null for one that is not installed. */
  findAction?: FindAction;
  /** Why an action of a plugin would not run. */
  findProblem?: FindActionProblem;
  /** Absolute folder of the workflow's file, null without one. */
  folder?: string | null;
  /** The server's ceiling, null without one. */
  ceiling?: Permissions | null;
};

function asksOf(action: ActionDescription | null, inputs: JsonObject, bare?: BareFolder): Permissions | "everything" {
  if (action === null) return {};
  return action.asks?.(inputs, bare) ?? (action.runsIn === "engine" ? {} : "everything");
}

/** Entries may come from inputs; numbers are limits. */
function maskPermissions(permissions: EffectivePermissions, masker: Masker): EffectivePermissions {
  const texts = (entries: readonly string[]) => entries.map((entry) => masker.text(entry));
  const { network, filesystem, env } = permissions;
  const files = { read: texts(filesystem.read), write: texts(filesystem.write) };
  return { ...permissions, network: texts(network), filesystem: files, env: texts(env) };
}

function planTask(task: TaskDefinition, definition: WorkflowDefinition, { known, facts }: { known: Known; facts: PlanFacts }): PlannedTask {
  const { script, ...others } = task.inputs;
  const inputs =
    task.action === shellAction && script !== undefined
      ? { script, ...(resolve(others, known) as JsonObject) }
      : (resolve(task.inputs, known) as JsonObject);
  const { ceiling = null, findAction = findCoreAction, folder = null } = facts;
  const action = findAction(task.action);
  const bare = bareFolderOf((start) => asksOf(action, inputs, start), { workflow: definition.permissions, folder });
  const { effective, findings } = decidePermissions({
    asks: asksOf(action, inputs, bare),
    workflow: definition.permissions,
    ...(task.permissions === undefined ? {} : { task: task.permissions }),
    ...(ceiling === null ? {} : { server: ceiling }),
    folder,
  });
  const { masker } = known;
  return {
    id: task.id,
    action: task.action,
    needs: task.needs,
    if: task.if === undefined ? null : masker.text(task.if),
    inputs: masker.json(inputs) as JsonObject,
    env: masker.json(resolve(task.env, known)) as JsonObject,
    permissions: maskPermissions(effective, masker),
    asked: findings.map((one) => ({ ...one, entry: masker.text(one.entry), grant: one.grant === null ? null : masker.text(one.grant) })),
    retry: task.retry,
    timeoutMs: task.timeoutMs ?? null,
    runtime: task.runtime,
  };
}

function refusedOf(definition: WorkflowDefinition, findProblem: FindActionProblem): WorkflowPlan["refused"] {
  const told = new Set<string>();
  return (["tasks", "onFailure", "finally"] as const).flatMap((phase) =>
    definition[phase].flatMap(({ action }, index) => {
      const problem = action.startsWith("core/") ? null : findProblem(action);
      if (problem === null) return [];
      const { message, hint } = describeProblem(action, problem);
      if (told.has(message)) return [];
      told.add(message);
      return [{ path: `${phase}[${index}].type`, what: message, hint }];
    }),
  );
}

export function planWorkflow(definition: WorkflowDefinition, facts: PlanFacts): WorkflowPlan {
  const known = findKnown(definition, facts.inputs);
  const { findAction = findCoreAction } = facts;
  const isMissing = (action: string) => (findAction(action) === null ? ({ kind: "not-installed", known: [] } as const) : null);
  const plan = (tasks: readonly TaskDefinition[]): PlannedTask[] => tasks.map((task) => planTask(task, definition, { known, facts }));
  return {
    id: definition.id,
    levels: findLevels(definition.tasks),
    tasks: plan(definition.tasks),
    onFailure: plan(definition.onFailure),
    finally: plan(definition.finally),
    triggers: definition.triggers.map((trigger) => ({
      id: trigger.id,
      type: trigger.type,
      next: trigger.type === "cron" ? nextCronTimes(trigger, facts.now, nextTimesShown).map(toIso) : [],
    })),
    timeoutMs: definition.timeoutMs,
    notAvailableYet: partsNotRun(definition, findAction),
    refused: refusedOf(definition, facts.findProblem ?? isMissing),
  };
}
