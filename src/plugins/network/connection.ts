// What every connection of a client shares, at the proxy and at forwarders: its age and idleness, its far side, its end.
import { limits } from "../../base/index.ts";
import { tickMs } from "./wire.ts";
import type { Wire } from "./wire.ts";

const ticks = (ms: number): number => Math.ceil(ms / tickMs);

/** A client's connection. Closed whole when it stays longer in a phase than it may. */
export class Connection {
  readonly client: Wire;
  #far: Wire | null = null;
  #age = 0;
  #ageMax = ticks(limits.networkHeadMsMax);

  constructor(client: Wire) {
    this.client = client;
  }

  /** There is a far side: from now on only idleness ends it. */
  establish(far: Wire): void {
    this.#far = far;
    this.#age = 0;
    this.#ageMax = ticks(limits.networkIdleMsMax);
    this.client.keepAlive();
    far.keepAlive();
  }

  /** For resolving and connecting, which have bounds of their own. */
  startDialling(): void {
    this.#age = 0;
    this.#ageMax = ticks(limits.networkConnectMsMax * (limits.networkAddressesMax + 1));
  }

  /** Nothing more will be said to the client. It may still be sending, or slow to read: it gets the end after all bytes,
   * then a moment to close its side. A reset at once would take the last bytes from it. */
  sayGoodbye(): void {
    const { client } = this;
    this.touch();
    client.handlers = { onData: () => {}, onEnd: () => {}, onClose: () => {}, onDrain: () => this.#linger() };
    client.finish();
    client.resume();
    if (client.isFlushed) this.#linger();
  }

  #linger(): void {
    this.#age = 0;
    this.#ageMax = ticks(limits.networkLingerMsMax);
  }

  readonly touch = (): void => {
    this.#age = 0;
  };

  /** Once every `tickMs`. */
  tick(): void {
    this.#age += 1;
    if (this.#age > this.#ageMax) this.destroy();
  }

  /** Resets both sides. */
  destroy(): void {
    // The far side's end would be passed on as an orderly one.
    if (this.#far !== null) this.#far.handlers = { ...this.#far.handlers, onClose: () => {} };
    this.#far?.destroy();
    this.client.destroy();
  }
}
