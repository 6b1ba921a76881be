// From a target to a connection: what the grants say, which addresses the name has, and a connection to one that was checked.
import { lookup as lookupName } from "node:dns/promises";
import { limits } from "../../base/index.ts";
import { formatAddress, formatHost, isSpecialAddress, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { findAddressGrant, findGrant } from "./grants.ts";
import { formatTarget } from "./target.ts";
import type { Target } from "./target.ts";
import { Wire, wireHandlers } from "./wire.ts";

/** All addresses of a name; rejects when it has none. */
export type Lookup = (name: string) => Promise<string[]>;

export const lookupSystem: Lookup = async (name) => (await lookupName(name, { all: true, verbatim: true })).map((found) => found.address);

/** What was decided about a target, and where to connect. No addresses: it could not be resolved. */
export type Route = { allowed: boolean; why: string; entries: string[]; addresses: Address[] };

type RouteAsk = { entries: readonly string[]; mode: "enforce" | "observe"; lookup: Lookup };

/** Names are resolved only when they are granted: a question to a name server is a way out too. */
export async function findRoute(target: Target, { entries, mode, lookup }: RouteAsk): Promise<Route> {
  const wanted = formatTarget(target);
  const grant = findGrant(entries, target);
  if (grant === null && mode === "enforce") return { allowed: false, why: "not granted", entries: [wanted], addresses: [] };
  const why = grant === null ? "observed" : `granted by ${grant}`;
  const addresses = await resolveTarget(target, lookup);
  const isOpen = (address: Address) =>
    !isSpecialAddress(address) || target.host === "localhost" || findAddressGrant(entries, address, target.port) !== null;
  const open = addresses.filter(isOpen);
  const closed = target.address === null ? addresses.find((address) => !isOpen(address)) : undefined;
  const missing = closed === undefined ? [] : [`${formatHost(closed)}:${target.port}`];
  if (mode === "observe") return { allowed: true, why, entries: open.length > 0 ? [wanted] : [wanted, ...missing], addresses };
  if (open.length > 0 || closed === undefined) return { allowed: true, why, entries: [wanted], addresses: open };
  return { allowed: false, why: `the name leads to ${formatAddress(closed)}, which is not granted`, entries: missing, addresses: [] };
}

const loopback = ["127.0.0.1", "::1"].map(parseAddress).filter((address) => address !== null);

async function resolveTarget(target: Target, lookup: Lookup): Promise<Address[]> {
  if (target.address !== null) return [target.address];
  if (target.host === "localhost") return loopback;
  const found = await within(limits.networkConnectMsMax, lookup(target.host)).catch(() => []);
  const addresses = found.map(parseAddress).filter((address) => address !== null);
  return addresses.slice(0, limits.networkAddressesMax);
}

/** Connects to the first of the addresses that answers, null when none does. The wire is paused. */
export async function connectTo(addresses: readonly Address[], port: number): Promise<Wire | null> {
  for (const address of addresses) {
    const wire = await connectOnce(formatAddress(address), port);
    if (wire !== null) return wire;
  }
  return null;
}

async function connectOnce(hostname: string, port: number): Promise<Wire | null> {
  let isLate = false;
  const opened = new Promise<Wire>((resolve, reject) => {
    const socket = wireHandlers((wire) => {
      if (isLate) wire.destroy();
      else resolve(wire);
    });
    Bun.connect<Wire | undefined>({ hostname, port, socket, data: undefined, allowHalfOpen: true }).catch(reject);
  });
  try {
    return await within(limits.networkConnectMsMax, opened);
  } catch {
    isLate = true;
    return null;
  }
}

/** Rejects when a promise takes longer; it may still settle, unseen. */
function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("too late")), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
