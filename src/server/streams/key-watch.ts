// Tells open streams that their key was revoked or has expired. However many streams hang on a key, it is asked about once per turn.
import type { App } from "../../app/index.ts";
import type { Timers } from "./timers.ts";

/** Streams end within a second, the question and the end included. */
const askEveryMs = 500;

export class KeyWatch {
  readonly #app: Pick<App, "isKeyLive">;
  readonly #timers: Timers;
  readonly #watchers = new Map<string, Set<() => void>>();
  #cancelTurn: (() => void) | null = null;
  #isAsking = false;

  constructor(deps: { app: Pick<App, "isKeyLive">; timers: Timers }) {
    this.#app = deps.app;
    this.#timers = deps.timers;
  }

  /** Calls `onDead` once, when the key is no longer good; the result ends the watch. */
  watch(keyId: string, onDead: () => void): () => void {
    const watchers = this.#watchers.get(keyId) ?? new Set();
    this.#watchers.set(keyId, watchers.add(onDead));
    this.#schedule();
    return () => {
      watchers.delete(onDead);
      if (watchers.size === 0 && this.#watchers.get(keyId) === watchers) this.#watchers.delete(keyId);
      if (this.#watchers.size === 0) this.#stop();
    };
  }

  #schedule(): void {
    if (this.#isAsking) return;
    this.#cancelTurn ??= this.#timers.after(askEveryMs, () => void this.#turn());
  }

  #stop(): void {
    this.#cancelTurn?.();
    this.#cancelTurn = null;
  }

  async #turn(): Promise<void> {
    this.#cancelTurn = null;
    this.#isAsking = true;
    // One stream that cannot be ended must not keep the others open.
    await Promise.allSettled([...this.#watchers].map(([keyId, watchers]) => this.#ask(keyId, watchers)));
    this.#isAsking = false;
    if (this.#watchers.size > 0) this.#schedule();
  }

  async #ask(keyId: string, watchers: ReadonlySet<() => void>): Promise<void> {
    // A store that cannot answer counts as no: a client whose key is good comes back by itself.
    const isLive = await this.#app.isKeyLive(keyId).catch(() => false);
    if (!isLive) for (const onDead of watchers) onDead();
  }
}
