// The socket: which address may be listened on and how, TLS, and errors of the system as errors of ours.
import { readFileSync } from "node:fs";
import { fail } from "../base/index.ts";
import type { Config } from "../config/index.ts";

/** Connections that say nothing for so long are closed; streams and waits are excepted one by one. */
const idleSeconds = 60;

export type Listening = { url: string; port: number; host: string; socket: Bun.Server<undefined> };

/**
 * Opens the socket that the configuration names.
 * @throws CONFIG_INVALID for an address that needs TLS, PEM files that cannot be used, and an address that cannot be had
 */
export function openSocket(config: Config["server"], fetch: (request: Request, socket: Bun.Server<undefined>) => Promise<Response>): Listening {
  const { host, port, tls, insecure } = config;
  if (!isLoopback(host) && tls === null && !insecure)
    throw fail("CONFIG_INVALID", `Cannot listen on "${host}": others can reach it, and it has no TLS`, {
      hint: "Set server.tls {cert, key}, or server.insecure: true where something in front speaks TLS.",
    });
  const files = tls === null ? {} : { tls: { cert: readPem(tls.cert), key: readPem(tls.key) } };
  const socket = serve({
    hostname: host,
    port,
    idleTimeout: idleSeconds,
    development: false,
    // Unless told so, Bun lets several production servers share a port, and each would get some of the requests.
    reusePort: false,
    // Bodies are bounded where they are read, after the key was checked; a bound here would answer before that, and without our envelope.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch,
    ...files,
  });
  const bound = socket.port ?? port;
  return { socket, port: bound, host, url: `${tls === null ? "http" : "https"}://${reachable(host)}:${bound}` };
}

function serve(options: Parameters<typeof Bun.serve<undefined>>[0] & { hostname: string; port: number }): Bun.Server<undefined> {
  try {
    return Bun.serve(options);
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    const text = cause instanceof Error ? cause.message : String(cause);
    const where = `${options.hostname}:${options.port}`;
    const why = code === "EADDRINUSE" ? "another program listens there" : code === "EACCES" ? "this user may not" : text;
    throw fail("CONFIG_INVALID", `Cannot listen on ${where}: ${why}`, {
      details: { host: options.hostname, port: options.port },
      hint: "Set another server.port or server.host; port 0 takes a free one.",
      cause,
    });
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw fail("CONFIG_INVALID", `Cannot read the TLS file "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

// An address that means all of them is none to connect to.
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::" || host === "[::]") return "[::1]";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
