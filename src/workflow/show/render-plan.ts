// A plan as text for people.
import { renderDuration } from "../../base/index.ts";
import type { EffectivePermissions, PermissionFinding } from "../../model/index.ts";
import type { PlannedTask, WorkflowPlan } from "../plan-workflow.ts";

function list(title: string, values: readonly (string | number)[]): string[] {
  return values.length === 0 ? [] : [`${title} ${values.join(", ")}`];
}

/** What a task may do, without the limits. */
function permissionLines({ network, filesystem, env, listen, run }: EffectivePermissions): string[] {
  const lines = [
    ...list("network", network),
    ...list("read", filesystem.read),
    ...list("write", filesystem.write),
    ...list("env", env),
    ...list("listen", listen),
  ];
  if (run) lines.push("run other programs");
  return lines.length === 0 ? ["nothing"] : lines;
}

function limitsLine({ memoryMb, cpuSeconds, processes, openFiles, diskMb, outputBytes }: EffectivePermissions): string {
  const cpu = cpuSeconds === null ? [] : [`cpuSeconds ${cpuSeconds}`];
  const rest = [`processes ${processes}`, `openFiles ${openFiles}`, `diskMb ${diskMb}`, `outputBytes ${outputBytes}`];
  return [`memoryMb ${memoryMb}`, ...cpu, ...rest].join(", ");
}

const whose = { plugin: "the action itself", workflow: "the workflow", task: "the task", server: "the server", run: "this run" } as const;

function askedLine({ kind, entry, allowed, by, grant }: PermissionFinding): string {
  const verdict = allowed ? `allowed by ${whose[by]}` : `not allowed by ${whose[by]}${grant === null ? "" : `; add ${grant}`}`;
  return `${allowed ? "asks" : "refused"}`.padEnd(13) + `${kind} ${entry}: ${verdict}`;
}

/** By line, the tasks that are refused it, where there are several: one grant mends all of them, so it is told once. */
function sharedRefusals(tasks: readonly PlannedTask[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, asked } of tasks) {
    const lines = new Set(asked.filter(({ allowed }) => !allowed).map(askedLine));
    for (const line of lines) found.set(line, [...(found.get(line) ?? []), id]);
  }
  return new Map([...found].filter(([, ids]) => ids.length > 1));
}

const tasksShown = 20;

function sharedLine([line, ids]: [string, string[]]): string {
  const more = ids.length > tasksShown ? ` and ${ids.length - tasksShown} more` : "";
  return `  ${line.slice("refused".length).trimStart()}  (${ids.slice(0, tasksShown).join(", ")}${more})`;
}

function valueText(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function taskLines(task: PlannedTask, shared: ReadonlyMap<string, unknown>): string[] {
  const lines = [`  ${task.id}  ${task.action}${task.needs.length > 0 ? `  after ${task.needs.join(", ")}` : ""}`];
  if (task.if !== null) lines.push(`      if           ${task.if}`);
  for (const [key, value] of Object.entries(task.inputs)) lines.push(`      input        ${key} = ${valueText(value)}`);
  for (const [key, value] of Object.entries(task.env)) lines.push(`      env          ${key} = ${valueText(value)}`);
  if (task.retry.max > 1) lines.push(`      attempts     ${task.retry.max}, ${task.retry.backoff} delay from ${renderDuration(task.retry.delayMs)}`);
  if (task.timeoutMs !== null) lines.push(`      timeout      ${renderDuration(task.timeoutMs)}`);
  if (task.runtime === "docker") lines.push("      runtime      docker");
  lines.push(...permissionLines(task.permissions).map((line, index) => `      ${index === 0 ? "may" : "   "}          ${line}`));
  lines.push(`      limits       ${limitsLine(task.permissions)}`);
  lines.push(...task.asked.map(askedLine).flatMap((line) => (shared.has(line) ? [] : [`      ${line}`])));
  return lines;
}

/** Several lines, without a line break at the end. */
export function renderPlan(plan: WorkflowPlan): string {
  const shared = sharedRefusals([...plan.tasks, ...plan.onFailure, ...plan.finally]);
  const byId = new Map(plan.tasks.map((task) => [task.id, task]));
  const lines = [
    `Plan of ${plan.id}: ${plan.tasks.length} task${plan.tasks.length === 1 ? "" : "s"} in ${plan.levels.length} step${plan.levels.length === 1 ? "" : "s"}`,
  ];
  for (const [index, level] of plan.levels.entries()) {
    lines.push("", `Step ${index + 1}`);
    for (const id of level) lines.push(...taskLines(byId.get(id) as PlannedTask, shared));
  }
  for (const [title, tasks] of [
    ["On failure", plan.onFailure],
    ["Finally", plan.finally],
  ] as const) {
    if (tasks.length > 0) lines.push("", title, ...tasks.flatMap((task) => taskLines(task, shared)));
  }
  if (shared.size > 0) lines.push("", "Refused to several tasks", ...[...shared].map(sharedLine));
  if (plan.refused.length > 0)
    lines.push("", "Would be refused", ...plan.refused.flatMap(({ path, what, hint }) => [`  ${path}  ${what}`, `      ${hint}`]));
  if (plan.triggers.length > 0) lines.push("", "Triggers");
  for (const trigger of plan.triggers)
    lines.push(`  ${trigger.id}  ${trigger.type}${trigger.next.length > 0 ? `  next ${trigger.next.join(", ")}` : ""}`);
  if (plan.notAvailableYet.length > 0)
    lines.push("", "Not available in this version", ...plan.notAvailableYet.map((part) => `  ${part.path}  ${part.what}`));
  return lines.join("\n");
}
