// One stream of a container as an async iterable with one reader; says when bytes were taken, so that its producer can go on.

type Next = IteratorResult<Uint8Array, undefined>;

export class ChunkQueue implements AsyncIterableIterator<Uint8Array> {
  /** Called when bytes were taken. */
  onTaken: () => void = () => {};
  #chunks: Uint8Array[] = [];
  #isEnded = false;
  #isLeft = false;
  #waiting: ((next: Next) => void)[] = [];
  /** Not yet taken. */
  bytes = 0;

  push(chunk: Uint8Array): void {
    if (this.#isEnded || this.#isLeft || chunk.byteLength === 0) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting({ done: false, value: chunk });
    this.#chunks.push(chunk);
    this.bytes += chunk.byteLength;
  }

  /** What was pushed can still be read. */
  end(): void {
    this.#isEnded = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.bytes -= chunk.byteLength;
      this.onTaken();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#isEnded || this.#isLeft) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The reader leaves: what comes from now on is dropped. */
  return(): Promise<Next> {
    this.#isLeft = true;
    this.#chunks = [];
    this.bytes = 0;
    this.onTaken();
    return Promise.resolve({ done: true, value: undefined });
  }
}
