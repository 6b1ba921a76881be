// Where a client wants to go: a host in one spelling, whatever it wrote, and a port. Pure.
import { formatHost, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";

export type Target = {
  /** A lower-case name without a trailing dot, or an address in its usual spelling, IPv6 in brackets. */
  host: string;
  port: number;
  /** Null for names. */
  address: Address | null;
};

const name = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;
const nameCharsMax = 253;
/** A name that ends so is an IPv4 address to resolvers, in one of its odd spellings: 127.1, 2130706433, 0x7f.1, 0177.0.0.1. */
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/** The target of a host (IPv6 in brackets) and a port, null when one of them is neither name nor address, or no port. */
export function parseTarget(host: string, port: string): Target | null {
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return null;
  const found = parseHost(host.toLowerCase());
  return found === null ? null : { ...found, port: Number(port) };
}

/** `host:port`, as in CONNECT. */
export function parseAuthority(text: string, defaultPort: string | null): Target | null {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d+))?$/.exec(text);
  const port = match?.[2] ?? defaultPort;
  return match === null || port === null ? null : parseTarget(match[1] ?? "", port);
}

export function formatTarget(target: Target): string {
  return `${target.host}:${target.port}`;
}

function parseHost(host: string): { host: string; address: Address | null } | null {
  if (host.startsWith("[")) return fromAddress(host.endsWith("]") && host.includes(":") ? parseAddress(host.slice(1, -1)) : null);
  const plain = host.endsWith(".") ? host.slice(0, -1) : host;
  if (plain.length > nameCharsMax || !name.test(plain)) return null;
  return endsInNumber.test(plain) ? fromAddress(parseNumber(plain)) : { host: plain, address: null };
}

function fromAddress(address: Address | null): { host: string; address: Address } | null {
  return address === null ? null : { host: formatHost(address), address };
}

/** What the URL standard's IPv4 parser makes of a host that ends in a number, null when that is an error to it. */
function parseNumber(host: string): Address | null {
  try {
    return parseAddress(new URL(`http://${host}/`).hostname);
  } catch {
    return null;
  }
}
