// What is being looked up for the tasks of one execution before they can start. Each task is asked about once until it is worth asking again.
import { toErrorBody } from "../base/index.ts";
import type { Preparation } from "./decision.ts";
import type { TaskAsk, TaskInvoker, TaskPrepared } from "./ports.ts";

export class Preparations implements Preparation {
  readonly #invoker: TaskInvoker;
  readonly #wake: () => void;
  readonly #underWay = new Set<string>();

  /** `wake` is called when a task that could not start yet may start now. */
  constructor(invoker: TaskInvoker, wake: () => void) {
    this.#invoker = invoker;
    this.#wake = wake;
  }

  isUnderWay(task: string): boolean {
    return this.#underWay.has(task);
  }

  ask(ask: TaskAsk): TaskPrepared | null {
    const { task } = ask;
    // The answer may come before the call has returned.
    this.#underWay.add(task);
    const prepared = this.#prepare(ask);
    if (prepared !== null) this.#underWay.delete(task);
    return prepared;
  }

  #prepare(ask: TaskAsk): TaskPrepared | null {
    try {
      return this.#invoker.prepare(ask, () => {
        if (this.#underWay.delete(ask.task)) this.#wake();
      });
    } catch (cause) {
      return unprepared(ask, cause);
    }
  }
}

/** What goes wrong while preparing fails the task, not the engine. */
function unprepared(ask: TaskAsk, cause: unknown): TaskPrepared {
  return {
    runtime: ask.runtime,
    pluginSha256: null,
    imageDigest: null,
    permissions: {},
    timeoutMs: null,
    env: [],
    sandbox: { level: "off", layers: [] },
    refusal: toErrorBody(cause),
    denials: [],
    ticket: null,
  };
}
