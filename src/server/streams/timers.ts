// Timers as a dependency, so that tests drive them by hand.

export interface Timers {
  /** Runs once after so many ms; the result takes it back. */
  after(ms: number, run: () => void): () => void;
}

export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
