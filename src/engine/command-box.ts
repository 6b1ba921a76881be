// The commands that one execution was given: each is heard once, and who gave it learns when its row is gone.

type Entry = { isTaken: boolean; answered: PromiseWithResolvers<void> };

export class CommandBox {
  readonly #entries = new Map<string, Entry>();

  /** The answer of a command that was heard before, else null. */
  find(id: string): Promise<void> | null {
    return this.#entries.get(id)?.answered.promise ?? null;
  }

  add(id: string): Promise<void> {
    const answered = Promise.withResolvers<void>();
    this.#entries.set(id, { isTaken: false, answered });
    return answered.promise;
  }

  /** Ids that no commit has taken along yet. */
  take(): string[] {
    const ids: string[] = [];
    for (const [id, entry] of this.#entries) {
      if (entry.isTaken) continue;
      entry.isTaken = true;
      ids.push(id);
    }
    return ids;
  }

  settle(ids: readonly string[]): void {
    for (const id of ids) this.#entries.get(id)?.answered.resolve();
  }

  /** Nobody waits for an execution that is gone. */
  settleAll(): void {
    this.settle([...this.#entries.keys()]);
  }
}
