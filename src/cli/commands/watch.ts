// execution watch: follows an execution to its end; Ctrl-C stops watching, not the execution.
import type { CliContext } from "../context.ts";
import { followExecution } from "../progress/follow-execution.ts";
import { openProgressView } from "../progress/progress-view.ts";
import { reportEnd } from "../progress/report-end.ts";
import { signalExits } from "../signals.ts";

export async function watchExecution(context: CliContext, { id }: { id: string }): Promise<number> {
  const { facade } = await context.connect();
  const present = await facade.getExecution({ id });
  const view = await openProgressView(context, { title: present.execution.workflowId, taskIds: present.tasks.map((run) => run.taskId) });
  const stop = new AbortController();
  let exit: number | null = null;
  const release = context.io.onSignal((signal) => {
    exit ??= signalExits[signal];
    stop.abort();
  });
  try {
    const ended = await followExecution({ facade, executionId: id, view, signal: stop.signal });
    view.end();
    return exit ?? (await reportEnd(context, facade, ended));
  } finally {
    view.end();
    release();
  }
}
