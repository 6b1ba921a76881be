// One stream's frames, taken from their source one at a time and only when the reader wants one, with a keep-alive when nothing comes.
import { publicError } from "../http/respond.ts";
import type { Timers } from "./timers.ts";

const keepAliveMs = 15_000;
const keepAliveFrame = ": keep-alive\n\n";
/** Sent first: the socket holds the status line back until there is a body to go with it. */
const openFrame = ": open\n\n";

type Turn = { ok: true; result: IteratorResult<string> } | { ok: false; thrown: unknown };

export type FeedDeps = {
  frames: (signal: AbortSignal) => AsyncIterable<string>;
  timers: Timers;
  /** Told when the source fails. */
  onError: (thrown: unknown) => void;
};

export class Feed {
  readonly #source: AsyncIterator<string>;
  readonly #timers: Timers;
  readonly #onError: FeedDeps["onError"];
  readonly #abort: AbortController;
  #isOpen = false;
  #isAsked = false;
  #turn: Turn | null = null;
  #hasEnded = false;
  #wake: (() => void) | null = null;

  constructor(deps: FeedDeps) {
    this.#abort = new AbortController();
    this.#source = deps.frames(this.#abort.signal)[Symbol.asyncIterator]();
    this.#timers = deps.timers;
    this.#onError = deps.onError;
  }

  /** The next frame; null at the end. One call at a time. */
  async next(): Promise<string | null> {
    if (!this.#isOpen) {
      this.#isOpen = true;
      return openFrame;
    }
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
    if (turn.ok) return null;
    this.#onError(turn.thrown);
    return `event: error\ndata: ${JSON.stringify({ error: publicError(turn.thrown) })}\n\n`;
  }
}
