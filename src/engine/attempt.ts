// One attempt outside the engine: its process, its log, its timeout. It decides nothing; it reports once, when all is over.
import { type ErrorBody, errorKinds, kindOf, toErrorBody } from "../base/index.ts";
import { AttemptLog } from "../logs/index.ts";
import type { LogLine } from "../storage/index.ts";
import type { Denial } from "../model/index.ts";
import type { EngineContext, TaskStart } from "./decision.ts";
import { DenialBook, denialMetadata } from "./denials.ts";
import type { Machine } from "./machine.ts";
import type { TaskCall, TaskInvocation, TaskInvoker, TaskOutcome, Timers } from "./ports.ts";
import type { AttemptEnd } from "./results.ts";

export type AttemptDeps = { timers: Timers; invoker: TaskInvoker; context: () => EngineContext };
export type AttemptEvents = {
  /** Lines to store while the attempt runs; resolves when they are, or will never be. */
  onLogs: (lines: LogLine[]) => Promise<void>;
  /** Each different one once; its line was given to `onLogs`. Never after `onEnd`. */
  onDenial: (denial: Denial) => void;
  /** The whole tree is gone; `lines` are those that were not given to `onLogs`. */
  onEnd: (result: TaskOutcome, end: AttemptEnd, lines: LogLine[]) => void;
};

const flushLines = 200;
const flushMs = 100;

export class AttemptRun {
  readonly #deps: AttemptDeps;
  readonly #machine: Machine;
  readonly #start: TaskStart;
  readonly #events: AttemptEvents;
  readonly #log: AttemptLog;
  readonly #denials = new DenialBook();
  readonly #over = Promise.withResolvers<void>();
  #invocation: TaskInvocation | null = null;
  #timeout: unknown = null;
  #flush: unknown = null;
  #isTimedOut = false;
  #isOver = false;

  constructor(deps: AttemptDeps, machine: Machine, start: TaskStart, events: AttemptEvents) {
    this.#deps = deps;
    this.#machine = machine;
    this.#start = start;
    this.#events = events;
    const { executionId } = machine.header;
    this.#log = new AttemptLog({ executionId, task: start.task, itemIndex: start.itemIndex, attempt: start.attempt });
  }

  /** Resolves when the process tree is gone and the end was reported. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** `isStopped`: a stop came between the decision and now; nothing is spawned. */
  start(isStopped: boolean): void {
    const now = this.#now();
    if (isStopped) return this.#end(stoppedBefore, now);
    const { timeoutMs, prepared } = this.#start;
    for (const denial of prepared.denials) this.#deny(denial);
    if (prepared.refusal !== null) return this.#end(refused(prepared.refusal), now);
    const deadlineAt = timeoutMs === null ? null : now + timeoutMs;
    try {
      this.#invocation = this.#invoke(deadlineAt);
    } catch (cause) {
      return this.#end(notStarted(cause), now);
    }
    if (deadlineAt !== null) this.#watch(deadlineAt);
    void this.#invocation.done.then(
      (outcome) => this.#end(outcome, now),
      (cause: unknown) => this.#end(notStarted(cause), now),
    );
  }

  /** Timers may ring early, so the time is looked at again. */
  #watch(deadlineAt: number): void {
    this.#timeout = this.#deps.timers.set(deadlineAt, () => {
      if (this.#now() < deadlineAt) return this.#watch(deadlineAt);
      this.#isTimedOut = true;
      this.#invocation?.terminate();
    });
  }

  terminate(): void {
    this.#invocation?.terminate();
  }

  kill(): void {
    this.#invocation?.kill();
  }

  #invoke(deadlineAt: number | null): TaskInvocation {
    const { header, runs } = this.#machine;
    const { task, itemIndex, attempt, action, inputs, env, prepared } = this.#start;
    return this.#deps.invoker.invoke({
      executionId: header.executionId,
      workflow: header.workflow,
      task,
      itemIndex,
      attempt,
      action,
      inputs,
      env,
      workdir: runs.get(task)?.task.definition.workdir ?? null,
      folder: header.folder,
      deadlineAt,
      onLine: (line) => this.#take(line),
      prepared,
      masker: this.#machine.masks.masker,
      onDenial: (denial) => this.#deny(denial),
    });
  }

  /** At once: who follows the log or the trace sees it while the task runs. */
  #deny(denial: Denial): void {
    const news = this.#isOver ? null : this.#denials.note(this.#machine.masks.denial(denial));
    if (news === null) return;
    const metadata = news.denial === null ? null : denialMetadata(news.denial);
    this.#log.add({ source: "engine", level: "ERROR", message: news.line, metadata, time: this.#now() });
    void this.#flushNow();
    if (news.denial !== null) this.#events.onDenial(news.denial);
  }

  #take(line: Parameters<TaskCall["onLine"]>[0]): Promise<void> | void {
    const { masks } = this.#machine;
    this.#log.add({ ...line, message: masks.text(line.message), metadata: masks.json(line.metadata), time: this.#now() });
    if (this.#log.pending >= flushLines) return this.#flushNow();
    this.#flush ??= this.#deps.timers.set(this.#now() + flushMs, () => void this.#flushNow());
  }

  #flushNow(): Promise<void> | void {
    if (this.#flush !== null) this.#deps.timers.clear(this.#flush);
    this.#flush = null;
    const lines = this.#log.take();
    if (lines.length > 0) return this.#events.onLogs(lines);
  }

  #end(outcome: TaskOutcome, startedAt: number): void {
    this.#isOver = true;
    if (this.#timeout !== null) this.#deps.timers.clear(this.#timeout);
    if (this.#flush !== null) this.#deps.timers.clear(this.#flush);
    const result = this.#isTimedOut ? timedOut(this.#start.timeoutMs ?? 0) : outcome;
    const log = this.#log.end();
    const end = { durationMs: Math.max(0, this.#now() - startedAt), logSha256: log.sha256, logLines: log.lines };
    this.#events.onEnd(result, end, this.#log.take());
    this.#over.resolve();
  }

  #now(): number {
    return this.#deps.context().clock.now();
  }
}

const stoppedBefore: TaskOutcome = {
  ok: false,
  error: { code: "TASK_CANCELLED", kind: "failed", message: "Stopped before it began" },
  retryable: false,
};

function refused(error: ErrorBody): TaskOutcome {
  return { ok: false, error, retryable: errorKinds[error.kind].retryable };
}

/** What the invoker throws is no outcome of the task: no folder could be made, no process started. */
function notStarted(cause: unknown): TaskOutcome {
  return { ok: false, error: toErrorBody(cause), retryable: false };
}

function timedOut(timeoutMs: number): TaskOutcome {
  const message = `The attempt took longer than its timeout of ${timeoutMs} ms; its whole process tree was stopped`;
  return { ok: false, error: { code: "TASK_TIMEOUT", kind: kindOf("TASK_TIMEOUT"), message }, retryable: true };
}
