// Reads the read end of a pipe as an async iterable of chunks, by the event loop's own polling.

import { closeSync } from "node:fs";
import { fail } from "../../base/index.ts";

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

/** All bytes of the result. What is too much is still read, since a full pipe would hold the task up.
 * @throws TOO_LARGE */
export async function collectResult(chunks: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes <= bytesMax) kept.push(chunk);
    else kept.length = 0;
  }
  if (bytes <= bytesMax) return Buffer.concat(kept);
  throw fail("TOO_LARGE", `Cannot take the result of a task: ${bytes} bytes, more than ${bytesMax}`, {
    details: { bytes, bytesMax },
    hint: "Return large results as artifacts.",
  });
}
