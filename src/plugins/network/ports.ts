// The way out of a task: one egress proxy per engine, a token for each attempt, forwarders for clients that speak no HTTP proxy.

export type NetworkDecision = {
  /** One spelling whatever the client wrote: lower case, no trailing dot, IPv6 in brackets; `host:port` is an entry. */
  host: string;
  port: number;
  allowed: boolean;
  why: string;
  /** The entries by which this is allowed: of a denial those that are missing. Other than the target where a name leads to a
   * private address, which has to be named itself. */
  entries: string[];
  via: "proxy" | "forwarder";
};

export type PassRequest = {
  /** Granted entries: `host:port`, `*.host:port`, `host:*`, `cidr:port`. */
  entries: readonly string[];
  /** `observe`: everything is let through and reported (--learn). */
  mode: "enforce" | "observe";
  onDecision: (decision: NetworkDecision) => void;
  /** Sockets in this existing folder instead of loopback ports, for containers: anyone who reaches the folder may connect,
   * so a folder above it has to be closed to others. */
  socketFolder?: string;
};

/** An attempt's right to the network, until `close`. */
export type NetworkPass = {
  /** HTTP_PROXY and the like in both cases, NODE_USE_ENV_PROXY, NO_PROXY, WORKFLOW_FORWARD. */
  env: Record<string, string>;
  /** Loopback ports that the task has to reach. */
  ports: number[];
  /** `host:port` as granted to where it is forwarded from: `127.0.0.1:40123`. */
  forwards: Record<string, string>;
  /** For containers: port inside the container to the socket's file name in `socketFolder`. */
  sockets: { port: number; socket: string }[];
  close(): void;
};

export interface NetworkGate {
  open(request: PassRequest): NetworkPass;
  close(): void;
}
