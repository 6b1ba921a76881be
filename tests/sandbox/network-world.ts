// What the network tests are made of: a gate, loopback services that remember what reached them, raw clients that collect.
import { createNetworkGate } from "../../src/plugins/network/index.ts";
import type { NetworkDecision, NetworkGate, NetworkPass, PassRequest } from "../../src/plugins/network/index.ts";

export const waitMs = 5000;

export async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await Bun.sleep(5);
  }
}

/** Names of this world, beside which nothing resolves. */
export type Names = Record<string, string[]>;

export class World implements Disposable {
  readonly decisions: NetworkDecision[] = [];
  readonly troubles: string[] = [];
  readonly asked: string[] = [];
  readonly gate: NetworkGate;
  #closers: (() => void)[] = [];

  constructor(names: Names = {}) {
    const lookup = async (name: string): Promise<string[]> => {
      this.asked.push(name);
      const found = names[name];
      if (found === undefined) throw new Error("ENOTFOUND");
      return found;
    };
    const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count));
    this.gate = createNetworkGate({ onTrouble: (text) => this.troubles.push(text), randomBytes, lookup });
  }

  open(entries: string[], more: Partial<PassRequest> = {}): NetworkPass {
    return this.gate.open({ entries, mode: "enforce", onDecision: (decision) => this.decisions.push(decision), ...more });
  }

  /** A service that answers each connection by `talk`. */
  serve(talk: (client: Peer) => void): { port: number; peers: Peer[] } {
    const peers: Peer[] = [];
    const server = Bun.listen<Peer>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      data: new Peer(),
      socket: peerHandlers((socket) => {
        socket.data = new Peer();
        socket.data.socket = socket;
        peers.push(socket.data);
        return () => talk(socket.data);
      }),
    });
    this.#closers.push(() => server.stop(true));
    return { port: server.port, peers };
  }

  http(handler: (request: Request) => Response | Promise<Response>): number {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: handler, maxRequestBodySize: 2 ** 32, idleTimeout: 30 });
    this.#closers.push(() => void server.stop(true));
    return server.port ?? 0;
  }

  /** A raw connection to a loopback port or a socket file. */
  async connect(place: number | string): Promise<Peer> {
    const peer = new Peer();
    const socket = peerHandlers((opened) => {
      peer.socket = opened;
      return () => {};
    });
    const options = { data: peer, allowHalfOpen: true, socket };
    await (typeof place === "number"
      ? Bun.connect<Peer>({ ...options, hostname: "127.0.0.1", port: place })
      : Bun.connect<Peer>({ ...options, unix: place }));
    this.#closers.push(() => peer.socket?.terminate());
    return peer;
  }

  [Symbol.dispose](): void {
    this.gate.close();
    for (const close of this.#closers) close();
  }
}

function peerHandlers(onOpen: (socket: Bun.Socket<Peer>) => () => void): Bun.SocketHandler<Peer> {
  return {
    open: (socket) => onOpen(socket)(),
    data: (socket, chunk) => socket.data.take(chunk),
    drain: (socket) => socket.data.flush(),
    end: (socket) => {
      socket.data.isEnded = true;
      socket.data.onEnd();
    },
    close: (socket, error) => {
      socket.data.isClosed = true;
      socket.data.wasReset = error !== undefined;
    },
    error: (socket) => void socket.terminate(),
    connectError: () => {},
  };
}

/** One end of a raw connection. */
export class Peer {
  socket: Bun.Socket<Peer> | null = null;
  bytes = 0;
  /** The first 64 KiB. */
  text = "";
  isEnded = false;
  isClosed = false;
  wasReset = false;
  onData: (text: string) => void = () => {};
  onEnd: () => void = () => {};
  readonly hash = new Bun.CryptoHasher("sha256");
  #queue: Uint8Array[] = [];
  #endsAfter = false;

  take(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.hash.update(chunk);
    if (this.text.length < 65_536) this.text += Buffer.from(chunk).toString("latin1");
    this.onData(this.text);
  }

  send(data: string | Uint8Array): this {
    this.#queue.push(Buffer.from(typeof data === "string" ? Buffer.from(data, "latin1") : data));
    this.flush();
    return this;
  }

  /** Ends our half when all is sent. */
  end(): this {
    this.#endsAfter = true;
    this.flush();
    return this;
  }

  /** The other half has ended, in whatever way: there is no word of an end when ours ended before. */
  get isOver(): boolean {
    return this.isEnded || this.isClosed;
  }

  get unsent(): number {
    return this.#queue.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  flush(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const taken = Math.max(0, this.socket?.write(first) ?? 0);
      this.#queue[0] = first.subarray(taken);
      if (taken < first.length) return;
      this.#queue.shift();
    }
    if (this.#endsAfter) this.socket?.shutdown();
  }
}

/** Port and token of a pass. */
export function proxyOf(pass: NetworkPass): { port: number; token: string; authorization: string } {
  const url = new URL(pass.env["HTTP_PROXY"] ?? "");
  const authorization = `Proxy-Authorization: Basic ${Buffer.from(`${url.username}:${url.password}`).toString("base64")}`;
  return { port: Number(url.port), token: url.password, authorization };
}

export type Said = { exitCode: number; stdout: string; stderr: string };

/** Runs a program with a pass's environment. */
export async function runClient(argv: string[], env: Record<string, string>): Promise<Said> {
  const child = Bun.spawn(argv, { env: { PATH: process.env["PATH"] ?? "", ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode, stdout, stderr };
}
