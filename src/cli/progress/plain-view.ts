// Progress as lines, for logs and pipes: time, task, state; a task's own lines behind its name.
import { renderDuration, toIso } from "../../base/index.ts";
import type { Progress } from "../../app/index.ts";
import type { CliContext } from "../context.ts";
import { paintState } from "../render/style.ts";
import { visibleLine } from "../render/visible.ts";
import type { ProgressView } from "./progress-view.ts";

export function openPlainView(context: CliContext): ProgressView {
  const { errorStyle: style } = context;
  return {
    update: (progress) => context.io.stderr(`${renderProgressLine(progress, (state) => paintState(style, state))}\n`),
    note: context.note,
    end: () => {},
  };
}

/** `12:00:01  fetch  FAILED  PLUGIN_EXIT  320ms  exit code 1`; states are painted by the caller. */
export function renderProgressLine(progress: Progress, paint: (state: string) => string): string {
  const time = clockText(progress.at);
  if (progress.kind === "log") return `${time}  ${visibleLine(progress.taskId ?? "execution")} | ${visibleLine(progress.message)}`;
  const subject = progress.kind === "task" ? progress.taskId : "execution";
  const parts = [time, visibleLine(subject), paint(progress.state), ...detailsOf(progress)];
  return parts.join("  ");
}

function detailsOf(progress: Exclude<Progress, { kind: "log" }>): string[] {
  const reason = progress.reason === null || progress.reason === progress.state ? [] : [progress.reason];
  if (progress.kind === "execution") return reason;
  return [
    ...reason,
    ...(progress.attempt > 1 ? [`attempt ${progress.attempt}`] : []),
    ...(progress.durationMs === null ? [] : [renderDuration(progress.durationMs)]),
    ...(progress.message === null ? [] : [visibleLine(progress.message)]),
  ];
}

/** HH:MM:SS in UTC, as all times are shown; the local time would first load all time zones. */
function clockText(at: number): string {
  return toIso(at).slice(11, 19);
}
