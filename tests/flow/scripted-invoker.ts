// Attempts without processes: each ends after the time and with the outcome that the test wrote for it.
import type { TaskAsk, TaskCall, TaskInvocation, TaskInvoker, TaskOutcome, TaskPrepared } from "../../src/engine/index.ts";
import type { Denial } from "../../src/model/index.ts";
import type { FakeTime, TimeOwner } from "./fake-time.ts";

/** `ms` null: ends only when it is stopped. `ignoresTerm`: ends only by a kill, or when the grace is over. */
export type Script = { ms: number | null; outcome: TaskOutcome; lines?: string[]; denials?: Denial[]; ignoresTerm?: boolean };

export const done: Script = { ms: 10, outcome: { ok: true, output: {}, artifacts: [] } };

export const unconfined: TaskPrepared = {
  runtime: "process",
  pluginSha256: null,
  imageDigest: null,
  permissions: {},
  timeoutMs: null,
  env: [],
  sandbox: { level: "off", layers: [] },
  refusal: null,
  denials: [],
  ticket: null,
};

/** What preparing gives, and after how many ms of looking it up (null: at once; `never`: it hangs). */
export type Preparing = { ms: number | null | "never"; prepared: TaskPrepared };

export const prepared: Preparing = { ms: null, prepared: unconfined };

export function failing(code = "PLUGIN_EXIT", retryable = true): TaskOutcome {
  return { ok: false, error: { code, kind: "failed", message: "It was told to fail" }, retryable };
}

const graceMs = 5000;

/** What all invokers of one test see: who runs now, and what ran. */
export class Stage {
  readonly live = new Map<string, { call: TaskCall; owner: TimeOwner }>();
  readonly started: TaskCall[] = [];
  mostAtOnce = 0;

  /** What is told about each start before it happens; throws where it must not be. */
  onStart: (call: TaskCall, owner: TimeOwner) => void = () => undefined;

  get running(): string[] {
    return [...this.live.values()]
      .filter(({ owner }) => !owner.isDead)
      .map(({ call }) => call.task)
      .toSorted();
  }
}

export type Scripts = { scriptOf: (call: TaskCall) => Script; preparingOf: (ask: TaskAsk) => Preparing };
export type ScriptedInvoker = TaskInvoker & { disposed: string[]; asks: TaskAsk[] };

export function scriptedInvoker(at: { time: FakeTime; owner: TimeOwner; stage: Stage }, scripts: Scripts): ScriptedInvoker {
  const disposed: string[] = [];
  const asks: TaskAsk[] = [];
  const lookedUp = new Set<string>();
  const timers = at.time.timersOf(at.owner);
  const prepare = (ask: TaskAsk, wake: () => void): TaskPrepared | null => {
    asks.push(ask);
    const { ms, prepared: answer } = scripts.preparingOf(ask);
    const key = `${ask.executionId} ${ask.task}`;
    if (ms === null || lookedUp.delete(key)) return answer;
    if (ms === "never") return null;
    timers.set(at.time.now + ms, () => {
      lookedUp.add(key);
      wake();
    });
    return null;
  };
  return {
    disposed,
    asks,
    prepare,
    invoke: (call) => invoke(at, call, scripts.scriptOf(call)),
    dispose: async (executionId) => void disposed.push(executionId),
  };
}

function invoke(at: { time: FakeTime; owner: TimeOwner; stage: Stage }, call: TaskCall, script: Script): TaskInvocation {
  const { time, owner, stage } = at;
  stage.onStart(call, owner);
  stage.started.push(call);
  const key = `${call.executionId} ${call.task} ${call.attempt}`;
  stage.live.set(key, { call, owner });
  stage.mostAtOnce = Math.max(stage.mostAtOnce, stage.running.length);
  const over = Promise.withResolvers<TaskOutcome>();
  const timers = time.timersOf(owner);
  const end = (outcome: TaskOutcome) => {
    stage.live.delete(key);
    over.resolve(outcome);
  };
  const plan = (ms: number, outcome: TaskOutcome) => timers.set(time.now + ms, () => end(outcome));
  for (const line of script.lines ?? []) void call.onLine({ source: "stdout", level: "INFO", message: line, metadata: null });
  for (const denial of script.denials ?? []) call.onDenial(denial);
  const handle = script.ms === null ? null : plan(script.ms, script.outcome);
  const stop = (ms: number, signal: string) => {
    if (handle !== null) timers.clear(handle);
    plan(ms, { ok: false, error: { code: "PLUGIN_EXIT", kind: "failed", message: `Ended by ${signal}` }, retryable: true });
  };
  return { done: over.promise, terminate: () => stop(script.ignoresTerm === true ? graceMs : 1, "SIGTERM"), kill: () => stop(0, "SIGKILL") };
}
