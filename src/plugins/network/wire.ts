// One TCP or Unix connection with a queue for what the kernel does not take at once, and the joining of two of them.

/** Between two looks at what is idle; every bound of time here is a number of them. */
export const tickMs = 1000;

type Handlers = {
  onData: (chunk: Uint8Array) => void;
  onEnd: () => void;
  /** The connection is gone; `isBroken` when not by both sides' ends. */
  onClose: (isBroken: boolean) => void;
  /** All that was queued is with the kernel. */
  onDrain: () => void;
};

const nothing: Handlers = { onData: () => {}, onEnd: () => {}, onClose: () => {}, onDrain: () => {} };

/** A connection of ours. It starts paused; what happens is told to `handlers`. */
export class Wire {
  #socket: Bun.Socket<Wire | undefined>;
  #queue: Uint8Array[] = [];
  #ending: "no" | "half" | "whole" = "no";
  #isPeerDone = false;
  isClosed = false;
  handlers: Handlers = nothing;
  /** Called at the very end, whoever handles the connection then. */
  onGone: () => void = () => {};

  constructor(socket: Bun.Socket<Wire | undefined>) {
    this.#socket = socket;
    socket.pause();
  }

  /** False when the peer is slower: nothing more should come before `onDrain`. What comes after an end is dropped. */
  write(chunk: Uint8Array): boolean {
    if (this.isClosed || this.#ending !== "no" || chunk.length === 0) return true;
    if (this.#queue.length === 0) {
      const taken = Math.max(0, this.#socket.write(chunk));
      if (taken === chunk.length) return true;
      this.#queue.push(chunk.subarray(taken));
    } else this.#queue.push(chunk);
    return false;
  }

  get isFlushed(): boolean {
    return this.#queue.length === 0;
  }

  /** Ends our half after what is queued. */
  finish(): void {
    if (this.#ending !== "no") return;
    this.#ending = "half";
    this.#endIfFlushed();
  }

  /** Ends both halves after what is queued. */
  close(): void {
    this.#ending = "whole";
    this.#endIfFlushed();
  }

  /** Resets the connection. */
  destroy(): void {
    if (this.isClosed) return;
    this.#queue = [];
    this.#socket.terminate();
  }

  pause(): void {
    if (!this.isClosed) this.#socket.pause();
  }

  resume(): void {
    if (!this.isClosed) this.#socket.resume();
  }

  /** Notices a peer that is gone without a word, at both ends of a tunnel. */
  keepAlive(): void {
    this.#socket.setKeepAlive(true, 60_000);
    this.#socket.setNoDelay(true);
  }

  /** From the socket's handlers below. */
  drained(): void {
    while (this.#queue.length > 0) {
      const [first = new Uint8Array()] = this.#queue;
      const taken = Math.max(0, this.#socket.write(first));
      if (taken < first.length) {
        this.#queue[0] = first.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    this.#endIfFlushed();
    this.handlers.onDrain();
  }

  /** From the socket's handlers below. Not called when our half has ended before: then the connection is closed. */
  ended(): void {
    this.#isPeerDone = true;
    this.handlers.onEnd();
    if (this.#ending === "half") this.#endIfFlushed();
  }

  /** From the socket's handlers below. */
  closed(isBroken: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#queue = [];
    this.handlers.onClose(isBroken);
    this.onGone();
  }

  #endIfFlushed(): void {
    if (this.isClosed || this.#queue.length > 0 || this.#ending === "no") return;
    if (this.#ending === "whole" || this.#isPeerDone) this.#socket.end();
    else this.#socket.shutdown();
  }
}

/** Socket handlers of both listeners and outgoing connections. `onOpen` gets a wire that is paused. */
export function wireHandlers(onOpen: (wire: Wire) => void): Bun.SocketHandler<Wire | undefined> {
  return {
    open(socket) {
      const wire = new Wire(socket);
      socket.data = wire;
      onOpen(wire);
    },
    data: (socket, chunk) => socket.data?.handlers.onData(chunk),
    drain: (socket) => socket.data?.drained(),
    end: (socket) => socket.data?.ended(),
    close: (socket, error) => socket.data?.closed(error !== undefined),
    error: (socket) => socket.data?.destroy(),
    // Bun.connect rejects as well; this one keeps the rejection from being reported twice.
    connectError: () => {},
  };
}

/** Passes everything in both directions until both have ended. `onTraffic` is told of any sign of life. */
export function joinWires(a: Wire, b: Wire, onTraffic: () => void): void {
  const pump = (from: Wire, to: Wire): Handlers => ({
    onData(chunk) {
      onTraffic();
      if (!to.write(chunk)) from.pause();
    },
    onEnd: () => to.finish(),
    onClose: (isBroken) => (isBroken ? to.destroy() : to.close()),
    onDrain() {
      onTraffic();
      to.resume();
    },
  });
  a.handlers = pump(a, b);
  b.handlers = pump(b, a);
  a.resume();
  b.resume();
}
