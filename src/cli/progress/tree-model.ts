// What is known of each task while an execution runs, and the lines that show it; drawing them is the view's.
import { renderDuration } from "../../base/index.ts";
import type { Progress } from "../../app/index.ts";
import { paintState, type Style } from "../render/style.ts";
import { cutToWidth, padToWidth, visibleLine } from "../render/visible.ts";

type TaskLine = { state: string; reason: string | null; attempt: number; startedAt: number | null; durationMs: number | null; lastLog: string };
export type TreeModel = { title: string; state: string; startedAt: number | null; tasks: Map<string, TaskLine> };

export type TreeView = { now: number; width: number; height: number; style: Style };

const fresh = (): TaskLine => ({ state: "PENDING", reason: null, attempt: 0, startedAt: null, durationMs: null, lastLog: "" });

export function createTreeModel(title: string, taskIds: readonly string[]): TreeModel {
  return { title, state: "PENDING", startedAt: null, tasks: new Map(taskIds.map((id) => [id, fresh()])) };
}

/** Takes one piece of progress in. */
export function foldProgress(model: TreeModel, progress: Progress): void {
  model.startedAt ??= progress.at;
  if (progress.kind === "execution") {
    model.state = progress.state;
    return;
  }
  if (progress.taskId === null) return;
  const task = model.tasks.get(progress.taskId) ?? fresh();
  model.tasks.set(progress.taskId, task);
  if (progress.kind === "log") {
    task.lastLog = progress.message.trimEnd() === "" ? task.lastLog : progress.message;
    return;
  }
  if (progress.state === "RUNNING" && task.state !== "RUNNING") task.startedAt = progress.at;
  task.state = progress.state;
  task.reason = progress.reason;
  task.attempt = progress.attempt;
  task.durationMs = progress.durationMs;
  if (progress.message !== null) task.lastLog = progress.message;
}

const glyphs: Record<string, string> = { SUCCESS: "✓", FAILED: "✗", CANCELLED: "⊘", SKIPPED: "↷", WAITING: "…", PENDING: "·" };
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const spinnerMs = 100;
// What there is no room for goes by this order: what runs and what went wrong stays longest.
const weights: Record<string, number> = { RUNNING: 0, FAILED: 1, WAITING: 2, CANCELLED: 3, PENDING: 4, SUCCESS: 5, SKIPPED: 6 };

/** The lines of the tree, none wider or more than there is room for. */
export function renderTree(model: TreeModel, view: TreeView): string[] {
  const all = [...model.tasks];
  const room = Math.max(1, view.height - 3);
  const shown = all.length <= room ? all : keepHeaviest(all, room - 1);
  const idWidth = Math.min(32, Math.max(0, ...shown.map(([id]) => Bun.stringWidth(visibleLine(id)))));
  const elapsed = model.startedAt === null ? "" : renderDuration(view.now - model.startedAt);
  const head = `${view.style.bold(cutToWidth(visibleLine(model.title), Math.max(10, view.width - 24)))}  ${paintState(view.style, model.state)} ${elapsed}`;
  const rest = all.length - shown.length;
  const lines = shown.map(([id, task]) => renderTaskLine(id, task, { ...view, idWidth }));
  return [head, ...lines, ...(rest === 0 ? [] : [view.style.dim(cutToWidth(`  and ${rest} more: ${countStates(all)}`, view.width))])];
}

function keepHeaviest(all: readonly [string, TaskLine][], room: number): [string, TaskLine][] {
  const weight = ([, task]: [string, TaskLine]) => weights[task.state] ?? 4;
  const kept = new Set([...all].toSorted((a, b) => weight(a) - weight(b)).slice(0, room));
  return all.filter((entry) => kept.has(entry));
}

function countStates(all: readonly [string, TaskLine][]): string {
  const counts = new Map<string, number>();
  for (const [, { state }] of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
}

function renderTaskLine(id: string, task: TaskLine, view: TreeView & { idWidth: number }): string {
  const { style, width, idWidth } = view;
  const glyph = task.state === "RUNNING" ? (spinner[Math.floor(view.now / spinnerMs) % spinner.length] ?? "*") : (glyphs[task.state] ?? "?");
  const ms = task.durationMs ?? (task.state === "RUNNING" && task.startedAt !== null ? view.now - task.startedAt : null);
  const time = padToWidth(ms === null ? "" : renderDuration(ms), 8);
  const name = padToWidth(cutToWidth(visibleLine(id), idWidth), idWidth);
  const reason = task.reason === null || task.reason === task.state ? "" : `${task.reason} `;
  const attempt = task.attempt > 1 ? `attempt ${task.attempt} ` : "";
  const detail = cutToWidth(`${reason}${attempt}${visibleLine(task.lastLog)}`.trimEnd(), Math.max(0, width - idWidth - 17));
  return `  ${paintState(style, task.state, glyph)} ${name}  ${time}  ${style.dim(detail)}`.trimEnd();
}
