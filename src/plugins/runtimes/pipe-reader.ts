// Reads the read end of a pipe as an async iterable of chunks, by the event loop's own polling.

import { closeSync } from "node:fs";

export type PipeReader = {
  /** To be read to the end, or left early by `return`; nothing is read ahead of the consumer. */
  chunks: AsyncIterableIterator<Uint8Array>;
  /** Ends the reading when the consumer waits for data, and tells whether the reading is over. */
  endIfWaiting(): boolean;
};

/** Takes over the non-blocking descriptor of a pipe. Bun's stream works on a copy that it makes here and closes at the
 * end, so ours is closed at once and nobody can close a number that was given out again. */
export function readPipe(descriptor: number): PipeReader {
  const reader = Bun.file(descriptor).stream().getReader();
  closeSync(descriptor);
  let waiting = false;
  let ended = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        waiting = true;
        const { done, value } = await reader.read();
        waiting = false;
        if (done) return;
        yield value;
      }
    } finally {
      ended = true;
      await reader.cancel();
    }
  }
  return {
    chunks: chunks(),
    endIfWaiting() {
      if (waiting && !ended) void reader.cancel();
      return waiting || ended;
    },
  };
}
