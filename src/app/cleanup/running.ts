// The clean-ups that run in this process: each works on the open store, so the store is closed only when all have stopped.

export class RunningCleanups {
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** Gives the work a signal to stop by; it stops between two portions. */
  async run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = work(this.#stop.signal);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
  }
}
