// What one permission block asks for beyond another: an action beyond its plugin, an upgrade beyond what was approved.
import { coversNetwork, coversPath, type PermissionKind, type Permissions, renderGrant } from "../../model/index.ts";

/** One entry that is asked for, for instance {kind: "network", entry: "db:5432"}; `index` is its place in its list. */
export type AskedEntry = { kind: Exclude<PermissionKind, "limit">; entry: string; index: number };

type Covers = (grant: string, entry: string) => boolean;

const same: Covers = (grant, entry) => grant === entry;

/** The entries of `asks` that nothing in `allowed` covers. Limits are no grants and are not compared. */
export function exceedingEntries(asks: Permissions, allowed: Permissions): AskedEntry[] {
  const found: AskedEntry[] = [];
  const compare = (
    kind: AskedEntry["kind"],
    asked: readonly (string | number)[] = [],
    grants: readonly (string | number)[] = [],
    covers = same,
  ): void => {
    for (const [index, entry] of asked.entries())
      if (!grants.some((grant) => covers(String(grant), String(entry)))) found.push({ kind, entry: String(entry), index });
  };
  const writable = allowed.filesystem?.write ?? [];
  compare("network", asks.network, allowed.network, coversNetwork);
  // Write includes read.
  compare("filesystem.read", asks.filesystem?.read, [...(allowed.filesystem?.read ?? []), ...writable], coversPath);
  compare("filesystem.write", asks.filesystem?.write, writable, coversPath);
  compare("env", asks.env, allowed.env);
  if (asks.run === true && allowed.run !== true) found.push({ kind: "run", entry: "true", index: 0 });
  compare("listen", asks.listen, allowed.listen);
  return found;
}

/** What was approved for a workflow, as the store keeps it. */
export type PluginApproval = { permissions: Permissions };

/**
 * What a plugin asks for beyond its approval, as lines of YAML; empty when it may run. Without an approval everything it asks
 * for is beyond it, and a plugin that asks for nothing is not.
 */
export function approvalProblem(asks: Permissions, approval: PluginApproval | null): string[] {
  return exceedingEntries(asks, approval?.permissions ?? {}).map(({ kind, entry }) => renderGrant(kind, entry));
}
