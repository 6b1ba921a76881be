// run on a server: a file is applied there first; --wait follows the execution to its end.
import { isCoded, type JsonObject, sha256Hex, toErrorBody } from "../../base/index.ts";
import type { Facade } from "../../app/index.ts";
import type { Started, Workflow, WorkflowDefinition } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { followExecution } from "../progress/follow-execution.ts";
import { openProgressView, type ProgressView } from "../progress/progress-view.ts";
import { reportEnd } from "../progress/report-end.ts";
import { watchSignals } from "../signals.ts";
import type { SourceFile } from "../source-file.ts";
import { requireInputs } from "../../workflow/index.ts";
import { requireDefinition } from "../workflow-source.ts";

export type ServerRun = { target: string; source: SourceFile | null; inputTexts: Record<string, string>; inputs: JsonObject; wait: boolean };

export async function runOnServer(context: CliContext, run: ServerRun): Promise<number> {
  const { facade, knowsFolders } = await context.connect();
  const id = run.source === null ? run.target : await applySource(context, facade, { source: run.source, knowsFolders });
  const workflow = await facade.getWorkflow(id);
  // Its text says how inputs are read and which tasks there are.
  const definition = await requireDefinition(context, { file: id, source: workflow.source, folder: workflow.folder }, "run");
  const inputs = requireInputs(definition, { texts: run.inputTexts, values: run.inputs }, "run");
  const start = async () => (await facade.startExecution({ workflow: id, inputs, revision: workflow.revision })).started;
  if (run.wait) return await startAndWait(context, facade, { definition, start });
  const started = await start();
  if (context.common.json) context.printJson(started);
  else context.print(`${started.executionId}\n`);
  context.note(`Started; watch it with: ${context.program} execution watch ${started.executionId}`);
  return 0;
}

// The routes know no revision that is not current, so a file becomes the current one there; stderr says so.
async function applySource(
  context: CliContext,
  facade: Facade,
  { source, knowsFolders }: { source: SourceFile; knowsFolders: boolean },
): Promise<string> {
  const { id } = await requireDefinition(context, source, "run");
  const present = await findWorkflow(facade, id);
  // From another folder the same text means other files.
  if (present?.sha256 === sha256Hex(source.source) && (!knowsFolders || present.folder === source.folder)) return id;
  const { applied } = await facade.applyWorkflow({ id, source: source.source, folder: source.folder, file: source.file });
  context.note(`Applied ${id} as revision ${applied.revision} on the server.`);
  return id;
}

async function findWorkflow(facade: Facade, id: string): Promise<Workflow | null> {
  try {
    return await facade.getWorkflow(id);
  } catch (thrown) {
    if (isCoded(thrown, "WORKFLOW_NOT_FOUND")) return null;
    throw thrown;
  }
}

type Wait = { definition: WorkflowDefinition; start: () => Promise<Started> };

async function startAndWait(context: CliContext, facade: Facade, { definition, start }: Wait): Promise<number> {
  // Watched from before the start on: between its acceptance and the wait no signal may leave it running unseen.
  const interrupt = watchSignals(context);
  let view: ProgressView | null = null;
  try {
    const { executionId } = await start();
    const opened = await openProgressView(context, { title: definition.id, taskIds: definition.tasks.map((task) => task.id) });
    view = opened;
    const stop = new AbortController();
    const left = interrupt.start({
      first: () => {
        opened.note("Cancelling; Ctrl-C again stops waiting for it.");
        facade.cancelExecution(executionId).catch((thrown: unknown) => opened.note(`It cannot be cancelled: ${toErrorBody(thrown).message}`));
        return "wait";
      },
      second: () => stop.abort(),
    });
    const ended = await Promise.race([followExecution({ facade, executionId, view: opened, signal: stop.signal }), left]);
    opened.end();
    if (ended === null || stop.signal.aborted) return interrupt.exitCode() ?? 1;
    const code = await reportEnd(context, facade, ended);
    return interrupt.exitCode() ?? code;
  } finally {
    view?.end();
    interrupt.release();
  }
}
