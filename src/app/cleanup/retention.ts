// Retention: a server removes by itself what is older than its configuration keeps, at its start and then about every hour.
import { toErrorBody, toIso } from "../../base/index.ts";
import type { LoadedConfig } from "../../config/index.ts";
import { type Caller, terminalStates } from "../../model/index.ts";
import type { AppContext } from "../context.ts";
import { cleanUp } from "./clean-up.ts";

const dayMs = 86_400_000;
const everyMs = 3_600_000;
/** Servers on one store, and their neighbours on one disk, do not all begin at once. */
const jitterMs = 600_000;

/**
 * Days that an ended execution is kept. It leaves with its trace, so one setting decides for both: that of the storage, and where
 * there is none, that of traces.
 */
export function retentionDays({ config }: Pick<LoadedConfig, "config">): number {
  return config.storage.retentionDays ?? config.trace.retentionDays;
}

export class Retention {
  readonly #context: AppContext;
  readonly #caller: Caller;
  readonly #say: (text: string) => void;
  #timer: unknown = null;
  #isStopped = false;

  /** `say` gets a line for the server's log. */
  constructor(context: AppContext, caller: Caller, say: (text: string) => void) {
    this.#context = context;
    this.#caller = caller;
    this.#say = say;
  }

  /** The first round begins soon; nobody waits for it. */
  start(): void {
    this.#context.timers.soon(() => void this.#round());
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) this.#context.timers.clear(this.#timer);
  }

  async #round(): Promise<void> {
    if (this.#isStopped) return;
    try {
      await this.#removeOld();
    } catch (cause) {
      this.#say(`Retention could not remove old executions: ${toErrorBody(cause).message}`);
    }
    const { timers, clock } = this.#context;
    if (!this.#isStopped) this.#timer = timers.set(clock.now() + everyMs + Math.floor(Math.random() * jitterMs), () => void this.#round());
  }

  async #removeOld(): Promise<void> {
    const { clock, cleanups, loaded } = this.#context;
    const until = Math.max(0, clock.now() - retentionDays(loaded) * dayMs);
    const order = { states: terminalStates, until, reason: "retention", dryRun: false, isGentle: true, deadline: null } as const;
    const { executions, events } = await cleanups.run((signal) => cleanUp(this.#context, this.#caller, order, signal));
    if (executions > 0) this.#say(`Retention removed ${executions} executions that ended before ${toIso(until)}, with ${events} events`);
  }
}
