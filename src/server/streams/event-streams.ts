// The open streams of a server: each ends with its source, its client, its key, or the server.
import type { App } from "../../app/index.ts";
import { Feed } from "./feed.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Timers } from "./timers.ts";

export type StreamRequest = {
  /** Null when the caller has no key that could end. */
  keyId: string | null;
  requestId: string;
  /** Of the HTTP request: aborts when the client goes. */
  signal: AbortSignal;
  /** Frames in the text form of server-sent events. */
  frames: (signal: AbortSignal) => AsyncIterable<string>;
};

const encoder = new TextEncoder();

export class EventStreams {
  readonly #timers: Timers;
  readonly #keys: KeyWatch;
  readonly #onError: (thrown: unknown, requestId: string) => void;
  readonly #open = new Set<() => void>();

  constructor(deps: { app: Pick<App, "isKeyLive">; timers: Timers; onError: (thrown: unknown, requestId: string) => void }) {
    this.#timers = deps.timers;
    this.#onError = deps.onError;
    this.#keys = new KeyWatch(deps);
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** A body that takes from the source only while its reader reads: nothing piles up for a slow one. */
  open({ keyId, requestId, signal, frames }: StreamRequest): ReadableStream<Uint8Array> {
    const feed = new Feed({ frames, timers: this.#timers, onError: (thrown) => this.#onError(thrown, requestId) });
    let unwatch: (() => void) | null = null;
    let close: (() => void) | null = null;
    const finish = (): void => {
      if (!this.#open.delete(finish)) return;
      unwatch?.();
      signal.removeEventListener("abort", finish);
      feed.end();
      close?.();
    };
    type Controller = ReadableStreamDefaultController<Uint8Array>;
    const source = {
      start(controller: Controller) {
        close = () => controller.close();
      },
      pull: async (controller: Controller) => {
        const frame = await feed.next();
        if (frame === null) finish();
        else if (this.#open.has(finish)) controller.enqueue(encoder.encode(frame));
      },
      cancel() {
        // A cancelled stream is closed already.
        close = null;
        finish();
      },
    };
    // Nothing is kept ahead: a frame is asked for when a read waits.
    const stream = new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
    this.#open.add(finish);
    if (keyId !== null) unwatch = this.#keys.watch(keyId, finish);
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
    return stream;
  }

  /** Ends all of them; their clients come back with Last-Event-ID. */
  endAll(): void {
    for (const finish of this.#open) finish();
  }
}
