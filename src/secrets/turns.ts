// Long work in pieces: between them the process gets to everything else that waits, such as requests.

/** How long the long works of one turn of the event loop may take together: requests wait hardly longer. */
const turnMs = 8;

let startedAt: number | null = null;

/** Whether long works had their time in this turn of the event loop. */
export function isTurnOver(): boolean {
  const now = performance.now();
  if (startedAt === null) {
    startedAt = now;
    setImmediate(() => {
      startedAt = null;
    });
  }
  return now - startedAt > turnMs;
}

/** Ends when there is time for long works; to be asked before each of their pieces. */
export async function nextTurn(): Promise<void> {
  while (isTurnOver()) await new Promise<void>((done) => setImmediate(done));
}
