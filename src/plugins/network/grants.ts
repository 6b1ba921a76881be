// The granted network entries of one attempt, asked for a name or an address. What entries mean is the model's business.
import { coversNetwork } from "../../model/index.ts";
import { formatHost } from "./address.ts";
import type { Address } from "./address.ts";
import { formatTarget, parseTarget } from "./target.ts";
import type { Target } from "./target.ts";

/** The entry that grants a target in its one spelling, null when none does. */
export function findGrant(entries: readonly string[], target: Target): string | null {
  const wanted = formatTarget(target);
  return entries.find((entry) => coversNetwork(entry, wanted)) ?? null;
}

/** The entry that names an address itself, or its network. */
export function findAddressGrant(entries: readonly string[], address: Address, port: number): string | null {
  return findGrant(entries, { host: formatHost(address), port, address });
}

export type Literal = { entry: string; target: Target };

/** The entries that name one host and one port, as they are written. */
export function listLiterals(entries: readonly string[]): Literal[] {
  return [...new Set(entries)].flatMap((entry) => {
    const colon = entry.lastIndexOf(":");
    const target = parseTarget(entry.slice(0, colon), entry.slice(colon + 1));
    return target !== null && coversNetwork(entry, formatTarget(target)) ? [{ entry, target }] : [];
  });
}
