// One stream's frames, taken from their source one at a time and only when the reader wants one, with a keep-alive when nothing comes.
import { toErrorBody } from "../../base/index.ts";
import type { Timers } from "./timers.ts";

export const keepAliveMs = 15_000;
const keepAliveFrame = ": keep-alive\n\n";

type Turn = { ok: true; result: IteratorResult<string> } | { ok: false; thrown: unknown };

export class Feed {
  readonly #source: AsyncIterator<string>;
  readonly #timers: Timers;
  readonly #abort: AbortController;
  #isAsked = false;
  #turn: Turn | null = null;
  #hasEnded = false;
  #wake: (() => void) | null = null;

  constructor(source: (signal: AbortSignal) => AsyncIterable<string>, timers: Timers) {
    this.#abort = new AbortController();
    this.#source = source(this.#abort.signal)[Symbol.asyncIterator]();
    this.#timers = timers;
  }

  /** The next frame; null at the end. One call at a time. */
  async next(): Promise<string | null> {
    let isQuiet = false;
    const quiet = this.#timers.after(keepAliveMs, () => {
      isQuiet = true;
      this.#wake?.();
    });
    try {
      for (;;) {
        if (this.#hasEnded) return null;
        const turn = this.#takeTurn();
        if (turn !== null) return this.#frameOf(turn);
        if (isQuiet) return keepAliveFrame;
        this.#ask();
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    } finally {
      quiet();
    }
  }

  /** Ends the source and whoever waits for a frame. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#abort.abort();
    // A source that is in the middle of a step ends after it; nobody waits for that.
    Promise.resolve(this.#source.return?.()).catch(() => undefined);
    this.#wake?.();
  }

  #ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    const arrive = (turn: Turn): void => {
      this.#turn = turn;
      this.#wake?.();
    };
    this.#source.next().then(
      (result) => arrive({ ok: true, result }),
      (thrown: unknown) => arrive({ ok: false, thrown }),
    );
  }

  #takeTurn(): Turn | null {
    const turn = this.#turn;
    if (turn !== null) {
      this.#turn = null;
      this.#isAsked = false;
    }
    return turn;
  }

  // The status was sent long ago, so an error can only be told as an event of its own.
  #frameOf(turn: Turn): string | null {
    if (turn.ok && turn.result.done !== true) return turn.result.value;
    this.end();
    return turn.ok ? null : `event: error\ndata: ${JSON.stringify({ error: toErrorBody(turn.thrown) })}\n\n`;
  }
}
