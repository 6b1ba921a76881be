// Claims: who owns a resource. Versions come from one counter of the store, so a version is never used twice.
import { fail } from "../../base/index.ts";
import type { Claim, ClaimFence } from "../ports.ts";
import type { Connection } from "./database.ts";

type ClaimRow = { resource: string; owner: string; version: number; expires_at: number };

const nextVersion = "update ledger_state set last_claim_version = last_claim_version + 1 where id = 1 returning last_claim_version as version";
const putClaim =
  "insert into claims values (?, ?, ?, ?)" +
  " on conflict (resource) do update set owner = excluded.owner, version = excluded.version, expires_at = excluded.expires_at";
const extendClaim = "update claims set expires_at = ? where resource = ? and owner = ? and version = ?";
const deleteClaim = "delete from claims where resource = ? and owner = ? and version = ?";

export function fenceHolds(db: Connection, fence: ClaimFence): boolean {
  const row = db.get<ClaimRow>("select * from claims where resource = ?", fence.resource);
  return row !== null && row.owner === fence.owner && row.version === fence.version;
}

/** Takes a claim that is free, has expired, or is the owner's already. @throws CLAIM_LOST */
export function takeClaim(db: Connection, wish: { resource: string; owner: string; expiresAt: number; now: number }): Claim {
  const row = db.get<ClaimRow>("select * from claims where resource = ?", wish.resource);
  if (row !== null && row.owner !== wish.owner && row.expires_at > wish.now)
    throw fail("CLAIM_LOST", `Cannot claim "${wish.resource}": another process owns it`);
  const version = db.get<{ version: number }>(nextVersion)?.version ?? 0;
  db.run(putClaim, wish.resource, wish.owner, version, wish.expiresAt);
  return { resource: wish.resource, owner: wish.owner, version, expiresAt: wish.expiresAt };
}

/** Lengthens claims that are still held; returns the others' resources. */
export function extendClaims(db: Connection, fences: readonly ClaimFence[], expiresAt: number): string[] {
  if (fences.length === 0) return [];
  return db.atomically(() =>
    fences.filter((fence) => db.run(extendClaim, expiresAt, fence.resource, fence.owner, fence.version) !== 1).map((fence) => fence.resource),
  );
}

export function findClaims(db: Connection, resources: readonly string[]): Claim[] {
  const rows = resources.map((resource) => db.get<ClaimRow>("select * from claims where resource = ?", resource));
  return rows
    .filter((row) => row !== null)
    .map((row) => ({ resource: row.resource, owner: row.owner, version: row.version, expiresAt: row.expires_at }));
}

/** Inside the caller's transaction. A newer version of the same owner stays. */
export function releaseClaim(db: Connection, fence: ClaimFence): void {
  db.run(deleteClaim, fence.resource, fence.owner, fence.version);
}

export function releaseClaims(db: Connection, fences: readonly ClaimFence[]): void {
  if (fences.length === 0) return;
  db.atomically(() => {
    for (const fence of fences) releaseClaim(db, fence);
  });
}
