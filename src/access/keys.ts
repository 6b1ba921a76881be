// API keys: how they are made, known again, and who may grant what. The store keeps their SHA-256 only.
import { fail, parseTime, sha256Hex } from "../base/index.ts";
import { type Caller, hasScope, isRole, isScope, type Principal, type Scope, scopesOf } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";

const keyPrefix = "ak_";
const keyForm = /^ak_[A-Za-z0-9_-]{43}$/;

/** A key from 32 random bytes. */
export function formatKey(random: Uint8Array): string {
  return keyPrefix + Buffer.from(random).toString("base64url");
}

/** The digest a key is stored and looked up by; null for text that cannot be a key (seeded keys may have another form, but not be short). */
export function keyDigest(key: string): string | null {
  return keyForm.test(key) || (key.length >= 20 && key.length <= 200) ? sha256Hex(key) : null;
}

/** Whether a stored key may be used at this time. */
export function isLiveKey(row: RowOf<"api_keys">, now: number): boolean {
  return row.revoked_at === null && (row.expires_at === null || row.expires_at > now);
}

export function principalOf(row: RowOf<"api_keys">): Principal {
  const type = row.principal_type === "agent" || row.principal_type === "service" ? row.principal_type : "user";
  return { type, id: row.principal_id };
}

export function keyScopes(row: RowOf<"api_keys">): Set<Scope> {
  return scopesOf(JSON.parse(row.roles) as string[], JSON.parse(row.scopes) as string[]);
}

export type KeyWish = { principal: Principal; roles: readonly string[]; scopes: readonly string[]; expiresAt: string | null };

/**
 * Checks what a new key shall be.
 * @throws KEY_INVALID for an unknown role or scope, none at all, or an expiry that is no time in the future; FORBIDDEN when more is granted than the caller has
 */
export function checkKeyWish(wish: KeyWish, caller: Caller, now: number): void {
  const unknownRole = wish.roles.find((role) => !isRole(role));
  if (unknownRole !== undefined) throw fail("KEY_INVALID", `Cannot create a key: unknown role "${unknownRole}"`, { details: { role: unknownRole } });
  const unknownScope = wish.scopes.find((scope) => !isScope(scope));
  if (unknownScope !== undefined)
    throw fail("KEY_INVALID", `Cannot create a key: unknown scope "${unknownScope}"`, { details: { scope: unknownScope } });
  if (wish.roles.length + wish.scopes.length === 0)
    throw fail("KEY_INVALID", "Cannot create a key: it has neither a role nor a scope", { hint: "Name one, for example --role viewer." });
  if (wish.expiresAt !== null) {
    const at = parseTime(wish.expiresAt);
    if (at === null || at <= now) throw fail("KEY_INVALID", `Cannot create a key: "${wish.expiresAt}" is no time in the future`);
  }
  for (const scope of scopesOf(wish.roles, wish.scopes))
    if (!hasScope(caller.scopes, scope))
      throw fail("FORBIDDEN", `Cannot create a key: you lack the scope "${scope}" that it would give`, { details: { scope } });
}
