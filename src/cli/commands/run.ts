// run FILE|ID: where it runs (engine.md, One-shot), and how signals end it.
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fail, isCoded, limits, parseDuration } from "../../base/index.ts";
import type { App, Facade, OneShot, OneShotRequest } from "../../app/index.ts";
import type { Execution } from "../../model/index.ts";
import { findNamedServer, findServer, openStore } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { parsePairs, readInputsFile } from "../option-values.ts";
import { reportEnd } from "../progress/report-end.ts";
import { openProgressView, type ProgressView } from "../progress/progress-view.ts";
import { visibleLine } from "../render/visible.ts";
import { type GrantOptions, givenGrants, parseGrants } from "../run-grants.ts";
import { watchSignals } from "../signals.ts";
import { namesFile, readSource, type SourceFile } from "../source-file.ts";

export type RunValues = GrantOptions & {
  target: string;
  input: string[];
  inputs: string | null;
  wait: boolean;
  timeout: string | null;
  keepWorkspace: boolean;
  learn: boolean | string;
};

export async function runWorkflow(context: CliContext, values: RunValues): Promise<number> {
  const allow = parseGrants(values, context.io.cwd);
  const timeoutMs = parseTimeout(values.timeout);
  const inputTexts = parsePairs("--input", values.input);
  const isFile = namesFile(context, values.target);
  if (values.target === "-" && values.inputs === "-") throw fail("USAGE", "Cannot read both the workflow and its inputs from stdin");
  const source = isFile ? readSource(context, values.target) : null;
  if (source?.broken !== undefined) await refuseBroken(context, source);
  const learnFile = checkLearnFile(context, values);
  const inputs = await readInputsFile(context, values.inputs);
  const loaded = await context.loadConfig();
  // No route takes these yet, so they make it a run in this process, which may be beside a server.
  const isHere = isFile || timeoutMs !== null || values.keepWorkspace || values.learn !== false;
  const server = isHere ? findNamedServer(context, loaded) : findServer(context, loaded);
  if (server !== null) {
    refuseOnServer(values, server.url);
    const { runOnServer } = await import("./run-on-server.ts");
    return await runOnServer(context, { target: values.target, source, inputTexts, inputs, wait: values.wait || isFile });
  }
  const from = source === null ? { workflow: values.target } : source;
  const learn = values.learn !== false;
  return await runHere(context, { from, inputTexts, inputs, timeoutMs, keepWorkspace: values.keepWorkspace, allow, learn }, learnFile);
}

function refuseOnServer(values: RunValues, url: string): void {
  const grants = givenGrants(values);
  if (grants.length > 0)
    throw fail("USAGE", `Cannot use ${grants.join(", ")} on the server at ${url}: only a run in this process is granted more than its workflow`, {
      hint: "Write the grant into the workflow's permissions, or run its file, which runs in this process.",
    });
  if (values.learn !== false)
    throw fail("USAGE", `Cannot use --learn on the server at ${url}: it is for runs in this process`, {
      hint: "Leave --server and AUTOKESTRA_SERVER_URL out to run it in this process.",
    });
  if (values.timeout !== null || values.keepWorkspace)
    throw fail("USAGE", `Cannot use --timeout or --keep-workspace on the server at ${url}: they are for runs in this process`, {
      hint: "Write timeout: into the workflow, or leave --server and AUTOKESTRA_SERVER_URL out to run it in this process.",
    });
}

/** Absolute, null without one. Looked at before the run, whose result would be lost. @throws USAGE, FILE_NOT_FOUND */
function checkLearnFile(context: CliContext, { learn, target }: RunValues): string | null {
  if (typeof learn !== "string") return null;
  if (learn === "") throw fail("USAGE", "Cannot use --learn=: it names no file");
  const file = resolve(context.io.cwd, learn);
  if (!existsSync(dirname(file))) throw fail("FILE_NOT_FOUND", `Cannot write "${learn}": its folder does not exist`);
  if (existsSync(file) && namesFile(context, target) && target !== "-" && realpathSync(file) === realpathSync(resolve(context.io.cwd, target)))
    throw fail("USAGE", `Cannot write "${learn}": it is the workflow itself`);
  return file;
}

// What takes its text would take the replaced bytes for the file's own.
async function refuseBroken(context: CliContext, source: SourceFile): Promise<void> {
  const { requireDefinition } = await import("../workflow-source.ts");
  await requireDefinition(context, source, "run");
}

function parseTimeout(text: string | null): number | null {
  if (text === null) return null;
  const ms = parseDuration(text);
  if (ms === null || ms <= 0 || ms > limits.durationMsMax) throw fail("USAGE", `Cannot use --timeout "${text}": not a duration such as 30s or 5m`);
  return ms;
}

type HereRequest = Omit<OneShotRequest, "onProgress" | "onNote">;

async function runHere(context: CliContext, request: HereRequest, learnFile: string | null): Promise<number> {
  if (request.learn) context.remark("--learn: nothing is enforced. Tasks are only watched: they act as you, with all your files and network.");
  const app = await openStore(context, "oneShot");
  // Progress that comes before the view is open (it needs the task list) is kept.
  let view: ProgressView | null = null;
  const early: ((open: ProgressView) => void)[] = [];
  const show = (action: (open: ProgressView) => void) => (view === null ? void early.push(action) : action(view));
  let isWaitingForPerson = false;
  const interrupt = watchSignals(context);
  try {
    const shot = await startShot(app, context, {
      ...request,
      onProgress: (progress) => {
        isWaitingForPerson = progress.kind === "execution" ? progress.reason === "APPROVAL_PENDING" : isWaitingForPerson;
        show((open) => open.update(progress));
        if (progress.kind !== "task" || progress.reason !== "APPROVAL_PENDING") return;
        const note = approvalNote(context, progress.taskId);
        if (context.common.json) context.remark(note);
        else show((open) => open.note(note));
      },
      onNote: (text) => show((open) => open.note(text)),
    });
    const opened = await openProgressView(context, { title: titleOf(request), taskIds: shot.taskIds });
    view = opened;
    for (const action of early.splice(0)) action(opened);
    const left = interrupt.start({
      first: (signal) => {
        if (isWaitingForPerson) return "leave";
        opened.note(signal === "SIGINT" ? "Cancelling; Ctrl-C again ends it at once." : "Cancelling.");
        void shot.cancel();
        return "wait";
      },
      second: () => shot.kill(),
    });
    const ended = await Promise.race([shot.done, left]);
    opened.end();
    if (ended === null) {
      context.note(`Execution ${shot.executionId} is left as it is.`);
      return interrupt.exitCode() ?? 1;
    }
    const facade = app.facade(app.localCaller());
    if (context.common.json && "source" in request.from) await remarkOtherRevision(context, facade, ended);
    // With --json an error is the last line of stderr.
    if (context.common.json) tellLearned(context, shot, learnFile);
    const exit = await reportEnd(context, facade, ended);
    if (!context.common.json) tellLearned(context, shot, learnFile);
    return interrupt.exitCode() ?? exit;
  } finally {
    view?.end();
    interrupt.release();
  }
}

function tellLearned(context: CliContext, shot: OneShot, file: string | null): void {
  if (shot.learned === null) return;
  const text = shot.learned();
  if (file === null) return context.io.stderr(text);
  try {
    writeFileSync(file, text);
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot write "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  context.note(`Wrote ${visibleLine(file)}.`);
}

// What the run itself says only where notes are shown: the file did not become what `run ID` and triggers take.
async function remarkOtherRevision(context: CliContext, facade: Facade, { execution }: Execution): Promise<void> {
  const { revision } = await facade.getWorkflow(execution.workflowId);
  if (revision === execution.revision) return;
  const id = visibleLine(execution.workflowId);
  const kept = `${context.program} run ${id} keeps revision ${revision} until it is applied`;
  context.remark(`Workflow ${id} is stored with another text: this run used the file; ${kept}.`);
}

// A file with errors is shown with the lines they are in, as `validate` shows it.
async function startShot(app: App, context: CliContext, request: OneShotRequest): Promise<OneShot> {
  try {
    return await app.runOneShot(request);
  } catch (thrown) {
    if (!isCoded(thrown, "WORKFLOW_INVALID") || context.common.json || !("source" in request.from)) throw thrown;
    const { requireDefinition } = await import("../workflow-source.ts");
    await requireDefinition(context, request.from, "run");
    throw thrown;
  }
}

const titleOf = ({ from }: HereRequest) => ("workflow" in from ? from.workflow : from.file);

function approvalNote(context: CliContext, taskId: string): string {
  return `Task ${taskId} waits for an approval: ${context.program} approval list`;
}
