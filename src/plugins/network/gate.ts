// The gate of one engine: hands out passes, knows tokens, keeps the bounds of all connections, and closes what a pass opened.
import { limits } from "../../base/index.ts";
import { Connection } from "./connection.ts";
import { lookupSystem } from "./dial.ts";
import type { Lookup } from "./dial.ts";
import { serveForwarder } from "./forwarder.ts";
import { listLiterals } from "./grants.ts";
import type { Literal } from "./grants.ts";
import { listenFile, listenLoopback } from "./listener.ts";
import type { Listener } from "./listener.ts";
import { digestToken, Pass } from "./pass.ts";
import type { NetworkGate, NetworkPass, PassRequest } from "./ports.ts";
import { serveProxy } from "./proxy.ts";
import type { Target } from "./target.ts";
import { tickMs } from "./wire.ts";
import type { Wire } from "./wire.ts";

export type NetworkGateDeps = {
  onTrouble: (text: string) => void;
  /** Cryptographically random: tokens are made of it. */
  randomBytes: (count: number) => Uint8Array;
  /** Resolves names; the system's resolver when left out. */
  lookup?: Lookup;
};

const tokenBytes = 32;
/** Where sockets stand inside a container: above the ports that systems give out by themselves. */
const containerPort = 61_100;

/** The way out for the tasks of one engine. Nothing listens before the first pass. */
export function createNetworkGate(deps: NetworkGateDeps): NetworkGate {
  return new Gate(deps);
}

/** Opens a listener of a pass, named for the case that it is a file; the port. */
type Listen = (name: string, onOpen: (wire: Wire) => void) => number;

class Gate implements NetworkGate {
  #deps: NetworkGateDeps;
  #passes = new Map<string, Pass>();
  #listeners = new Set<Listener>();
  #connections = new Set<Connection>();
  /** In the order they came: without a token yet. */
  #strangers = new Set<Connection>();
  #proxy: Listener | null = null;
  #ticking: ReturnType<typeof setInterval> | null = null;

  constructor(deps: NetworkGateDeps) {
    this.#deps = deps;
  }

  open(request: PassRequest): NetworkPass {
    const token = Buffer.from(this.#deps.randomBytes(tokenBytes)).toString("base64url");
    const { lookup = lookupSystem, onTrouble } = this.#deps;
    const pass = new Pass(request, token, { lookup, onTrouble });
    const own: Listener[] = [];
    const close = () => {
      this.#passes.delete(pass.tokenDigest);
      for (const listener of own) this.#closeListener(listener);
      pass.close();
    };
    const sockets: NetworkPass["sockets"] = [];
    const listen: Listen = (name, onOpen) => {
      const place = { name, port: containerPort + own.length };
      const listener = request.socketFolder === undefined ? listenLoopback(onOpen) : listenFile(request.socketFolder, place, onOpen);
      own.push(listener);
      this.#listeners.add(listener);
      if (request.socketFolder !== undefined) sockets.push({ port: listener.port, socket: name });
      return listener.port;
    };
    this.#passes.set(pass.tokenDigest, pass);
    try {
      const proxyPort = request.socketFolder === undefined ? this.#listenProxy() : listen("proxy.sock", (wire) => this.#meetStranger(wire, pass));
      const forwards = this.#openForwards(pass, listLiterals(request.entries), listen);
      const ports = [proxyPort, ...Object.values(forwards).map((place) => Number(place.slice(place.lastIndexOf(":") + 1)))];
      return { env: environment(token, proxyPort, forwards), ports, forwards, sockets, close };
    } catch (cause) {
      close();
      throw cause;
    }
  }

  close(): void {
    for (const pass of this.#passes.values()) pass.close();
    this.#passes.clear();
    for (const listener of this.#listeners) this.#closeListener(listener);
    for (const connection of this.#connections) connection.destroy();
    this.#proxy = null;
    if (this.#ticking !== null) clearInterval(this.#ticking);
    this.#ticking = null;
  }

  #closeListener(listener: Listener): void {
    this.#listeners.delete(listener);
    listener.close();
  }

  #listenProxy(): number {
    if (this.#proxy === null) {
      this.#proxy = listenLoopback((wire) => this.#meetStranger(wire, null));
      this.#listeners.add(this.#proxy);
    }
    return this.#proxy.port;
  }

  #openForwards(pass: Pass, literals: readonly Literal[], listen: Listen): Record<string, string> {
    if (literals.length > limits.networkForwardersMax) {
      this.#deps.onTrouble(`A task is granted ${literals.length} hosts: only the first ${limits.networkForwardersMax} have forwarders`);
    }
    const served = literals.slice(0, limits.networkForwardersMax).map(({ entry, target }, index) => {
      const port = listen(`forward-${index + 1}.sock`, (wire) => this.#meetForwarded(wire, pass, target));
      return [entry, `127.0.0.1:${port}`] as const;
    });
    return Object.fromEntries(served);
  }

  #meetForwarded(wire: Wire, pass: Pass, target: Target): void {
    const connection = this.#register(wire);
    if (this.#enter(connection, pass)) void serveForwarder(connection, pass, target);
    else connection.destroy();
  }

  /** Anyone on the machine can connect: those who show no token can neither stay nor keep others out. */
  #meetStranger(wire: Wire, only: Pass | null): void {
    const connection = this.#register(wire);
    this.#strangers.add(connection);
    if (this.#strangers.size > limits.networkStrangersMax) this.#strangers.values().next().value?.destroy();
    serveProxy(connection, (_, token) => {
      const pass = token === null ? undefined : this.#passes.get(digestToken(token));
      if (pass === undefined || (only !== null && pass !== only)) return "unknown";
      this.#strangers.delete(connection);
      return this.#enter(connection, pass) ? pass : "full";
    });
  }

  #enter(connection: Connection, pass: Pass): boolean {
    if (!pass.isOpen || pass.connections.size >= limits.networkPassConnectionsMax) return false;
    pass.connections.add(connection);
    const forget = connection.client.onGone;
    connection.client.onGone = () => {
      forget();
      pass.connections.delete(connection);
    };
    return true;
  }

  #register(wire: Wire): Connection {
    const connection = new Connection(wire);
    this.#connections.add(connection);
    wire.onGone = () => {
      this.#connections.delete(connection);
      this.#strangers.delete(connection);
    };
    this.#startTicking();
    return connection;
  }

  /** Only while there is somebody to look after. */
  #startTicking(): void {
    if (this.#ticking !== null) return;
    this.#ticking = setInterval(() => {
      for (const connection of this.#connections) connection.tick();
      if (this.#connections.size > 0 || this.#ticking === null) return;
      clearInterval(this.#ticking);
      this.#ticking = null;
    }, tickMs);
    this.#ticking.unref();
  }
}

/** What clients read to find the proxy. Both cases, since they disagree; an empty NO_PROXY, since some keep loopback out. */
function environment(token: string, port: number, forwards: Record<string, string>): Record<string, string> {
  const proxy = `http://task:${token}@127.0.0.1:${port}`;
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  return {
    ...Object.fromEntries(names.map((name) => [name, proxy])),
    NO_PROXY: "",
    no_proxy: "",
    NODE_USE_ENV_PROXY: "1",
    WORKFLOW_FORWARD: JSON.stringify(forwards),
  };
}
