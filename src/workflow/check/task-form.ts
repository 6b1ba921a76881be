// Single tasks beyond their form: keys that exclude each other, actions that exist, scripts, narrowed secrets.
import { type ActionDescription, type ActionProblem, coreActions, findCoreAction } from "../../model/index.ts";
import { rootNames } from "../expression/environment.ts";
import { hasTemplate } from "../expression/template-text.ts";
import { entryOf, itemsOf, memberOf, memberPath, type RawScalar, toJson } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { scalarOffsets } from "../source/scalar-offsets.ts";
import { checkActionInputs, inputsOf } from "./action-inputs.ts";
import { describeProblem, type FindActionProblem } from "./action-problem.ts";
import { actionPattern } from "./keys.ts";
import { didYouMean } from "./nearest.ts";
import { type TaskSite, textOf } from "./sites.ts";

export type FindAction = (action: string) => ActionDescription | null;

export const shellAction = "core/shell.run";

/** The action of a task; `run:` stands for core/shell.run. Null where the task does not say. */
export function actionOf(site: TaskSite): string | null {
  const type = textOf(memberOf(site.node, "type"));
  if (type !== null) return type;
  return entryOf(site.node, "run") === undefined ? null : shellAction;
}

function exclusive(site: TaskSite, key: string, message: string, report: Report): void {
  const entry = entryOf(site.node, key);
  if (entry !== undefined) report.add({ code: "EXCLUSIVE_KEYS", path: memberPath(site.path, key), message, at: entry.keyAt });
}

/** Keys that only mean something together with others. */
function checkTogether(site: TaskSite, report: Report): void {
  const has = (key: string): boolean => entryOf(site.node, key) !== undefined;
  const path = site.path;
  if (has("type") && has("run")) exclusive(site, "run", 'A task has "type" or "run", not both', report);
  if (!has("type") && !has("run"))
    report.add({
      code: "EXCLUSIVE_KEYS",
      path,
      message: 'A task has either "type" or "run"; this one has neither',
      at: { start: site.node.start, end: site.node.start + 1 },
    });
  if (has("forEach") && has("matrix")) exclusive(site, "matrix", 'A task has "forEach" or "matrix", not both', report);
  if (has("concurrency") && !has("forEach") && !has("matrix"))
    exclusive(site, "concurrency", '"concurrency" of a task goes with "forEach" or "matrix"', report);
  if (has("image") && textOf(memberOf(site.node, "runtime")) !== "docker") exclusive(site, "image", '"image" goes with "runtime: docker"', report);
  if (actionOf(site) !== shellAction && actionOf(site) !== null)
    for (const key of ["env", "shell", "workdir"]) exclusive(site, key, `"${key}" goes with "run"`, report);
  const retry = memberOf(site.node, "retry");
  const seconds = entryOf(retry, "backoffSeconds");
  if (seconds !== undefined && entryOf(retry, "delay") !== undefined)
    report.add({
      code: "EXCLUSIVE_KEYS",
      path: `${path}.retry.backoffSeconds`,
      message: 'Only one of "delay" and "backoffSeconds" can stand',
      at: seconds.keyAt,
    });
  const value = seconds?.value;
  if (value?.kind === "scalar" && typeof value.value === "number" && !(value.value >= 0 && value.value <= 31_622_400))
    report.add({ code: "BAD_VALUE", path: `${path}.retry.backoffSeconds`, message: "The delay must be from 0 to 31622400 seconds", at: value });
  if (actionOf(site) !== shellAction) return;
  const inputs = memberOf(site.node, "inputs");
  for (const key of has("run") ? ["script", "shell"] : has("shell") ? ["shell"] : []) {
    const entry = entryOf(inputs, key);
    if (entry !== undefined)
      report.add({
        code: "EXCLUSIVE_KEYS",
        path: `${path}.inputs.${key}`,
        message: `"inputs.${key}" is what "${key === "script" ? "run" : "shell"}" gives already`,
        at: entry.keyAt,
      });
  }
}

function checkPlainTexts(site: TaskSite, report: Report): void {
  for (const key of ["workdir", "image"]) {
    const at = memberOf(site.node, key);
    const text = textOf(at);
    if (at === undefined || text === null) continue;
    const path = `${site.path}.${key}`;
    if (hasTemplate(text)) report.add({ code: "BAD_VALUE", path, message: `"${key}" takes no expressions`, at });
    else if (key === "workdir" && (text.startsWith("/") || text.split("/").includes("..")))
      report.add({ code: "BAD_VALUE", path, message: "The work folder must be a path below the workspace", at });
  }
}

function checkAction(site: TaskSite, { findAction, findProblem, hasImage, report }: TaskContext): void {
  const type = memberOf(site.node, "type");
  const name = actionOf(site);
  if (name === null || !actionPattern.test(name)) return;
  const action = findAction(name) ?? findCoreAction(name);
  if (!name.startsWith("core/")) checkPlugin(site, findProblem(name) ?? (action === null ? { kind: "not-installed", known: [] } : null), report);
  else if (action === null && type !== undefined) {
    const hint = didYouMean(
      name,
      coreActions.map((known) => known.action),
    );
    report.add({ code: "UNKNOWN_ACTION", path: `${site.path}.type`, message: `There is no built-in action "${name}"`, at: type, hint });
  }
  if (action === null) return;
  checkImage(site, action, hasImage, report);
  const node = memberOf(site.node, "inputs");
  if (node !== undefined && node.kind !== "map") return;
  const inputs = inputsOf(node);
  const run = memberOf(site.node, "run");
  if (run !== undefined && type === undefined) inputs["script"] = toJson(run);
  checkActionInputs({ action, inputs, node: node ?? site.node, path: `${site.path}.inputs`, report });
}

/** A plugin may still be installed, mended or approved before the workflow runs; an action that it has not is a slip. */
function checkPlugin(site: TaskSite, problem: ActionProblem | null, report: Report): void {
  const type = memberOf(site.node, "type");
  const name = actionOf(site);
  if (problem === null || type === undefined || name === null) return;
  const code = problem.kind === "not-approved" ? "PLUGIN_NOT_APPROVED" : "UNKNOWN_ACTION";
  report.add({ code, path: `${site.path}.type`, at: type, ...describeProblem(name, problem), warning: problem.kind !== "no-such-action" });
}

/** A configuration that nobody could look at may name one, so it is no error. Other built-ins run in no image at all. */
function checkImage(site: TaskSite, action: ActionDescription, hasImage: boolean, report: Report): void {
  const runtime = memberOf(site.node, "runtime");
  const needsOne = action.hasImage !== true && (action.action === shellAction || !action.action.startsWith("core/"));
  if (runtime === undefined || textOf(runtime) !== "docker" || hasImage || !needsOne || entryOf(site.node, "image") !== undefined) return;
  report.add({
    code: "MISSING_KEY",
    path: `${site.path}.image`,
    message: '"runtime: docker" needs an image, and none is named',
    at: runtime,
    hint: "Name one with image:, or for all tasks with plugins.docker.image of the configuration.",
    warning: true,
  });
}

const templateInScript = new RegExp(`\\{\\{-?\\s*(${rootNames.join("|")})\\b([^{}]{0,200})`, "g");

function checkScript(site: TaskSite, report: Report, text: string): void {
  if (actionOf(site) !== shellAction) return;
  const inInputs = memberOf(memberOf(site.node, "inputs"), "script");
  const node = memberOf(site.node, "run") ?? inInputs;
  const script = textOf(node);
  if (node?.kind !== "scalar" || script === null || !script.includes("{{")) return;
  let offsets: number[] | null = null;
  for (const match of script.matchAll(templateInScript)) {
    offsets ??= scalarOffsets(text, node as RawScalar);
    const start = offsets[match.index] ?? node.start;
    const expression = `${match[1] ?? ""}${match[2] ?? ""}`.trim();
    const variable = /[A-Za-z0-9]+$/.exec(expression)?.[0]?.toUpperCase() ?? "VALUE";
    report.add({
      code: "TEMPLATE_IN_SCRIPT",
      path: node === inInputs ? `${site.path}.inputs.script` : `${site.path}.run`,
      warning: true,
      at: { start, end: start + 2 },
      message: "Nothing is replaced in a script; pass the value through env",
      hint: `env: { ${variable}: "{{ ${expression} }}" }, and in the script "$${variable}"`,
    });
  }
}

function checkSecrets(site: TaskSite, listed: ReadonlySet<string>, report: Report): void {
  for (const [index, node] of itemsOf(memberOf(site.node, "secrets")).entries()) {
    const name = textOf(node);
    if (name !== null && !listed.has(name))
      report.add({
        code: "SECRET_NOT_LISTED",
        path: `${site.path}.secrets[${index}]`,
        message: `The secret "${name}" is not in the workflow's list, which a task can only narrow`,
        at: node,
        hint: didYouMean(name, listed),
      });
  }
}

type TaskContext = {
  findAction: FindAction;
  findProblem: FindActionProblem;
  /** Of the configuration, for all tasks in containers. */
  hasImage: boolean;
  secrets: ReadonlySet<string>;
  text: string;
  report: Report;
};

/** All checks of one task that need neither other tasks nor expressions. `text` is the source. */
export function checkTask(site: TaskSite, context: TaskContext): void {
  if (site.node.kind !== "map") return;
  checkTogether(site, context.report);
  checkPlainTexts(site, context.report);
  checkAction(site, context);
  checkScript(site, context.report, context.text);
  checkSecrets(site, context.secrets, context.report);
}
