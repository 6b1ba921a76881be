// API keys: how they are made, known again, and who may grant what. The store keeps their SHA-256 only.
import { fail, parseTime, sha256Hex, toIso } from "../base/index.ts";
import { type Caller, hasScope, isRole, isScope, type Principal, roleNames, type Scope, scopes, scopesOf } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";

const keyPrefix = "ak_";
const keyCharsMin = 20;
const keyCharsMax = 200;
/** Our own have 46 characters of some 30 kinds; whoever makes one up by hand stays below one of these. */
const strongCharsMin = 32;
const strongKindsMin = 10;
const nameCharsMax = 200;

/** A key from 32 random bytes. */
export function formatKey(random: Uint8Array): string {
  return keyPrefix + Buffer.from(random).toString("base64url");
}

/**
 * The digest that a key is stored and looked up by; null for text that cannot be a key (seeded ones may have another form than ours).
 *
 * The key itself is never compared. The index compares digests, in a time that may tell how much of one fits; but who cannot invert
 * SHA-256 cannot choose a key by its digest, and knowing a whole digest does not give the 256 random bits behind it.
 */
export function keyDigest(key: string): string | null {
  return key.length >= keyCharsMin && key.length <= keyCharsMax ? sha256Hex(key) : null;
}

/** Whether a key that someone made up could be guessed: for keys that are not ours to make. */
export function isWeakKey(key: string): boolean {
  return key.length < strongCharsMin || new Set(key).size < strongKindsMin;
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

export type KeyWish = { name: string | null; principal: Principal; roles: readonly string[]; scopes: readonly string[]; expiresAt: string | null };

/** Who asks for the key: what he may do, and when his own key ends (ms; null for never). */
export type KeyMaker = { caller: Caller; expiresAt: number | null };

/**
 * Checks what a new key shall be.
 * @throws KEY_INVALID for a bad name, principal or expiry, an unknown role or scope, or none at all; FORBIDDEN when more is granted than
 * the maker has, or for longer
 */
export function checkKeyWish(wish: KeyWish, maker: KeyMaker, now: number): void {
  checkTexts(wish);
  checkNames(
    "role",
    wish.roles.find((role) => !isRole(role)),
    roleNames,
  );
  checkNames(
    "scope",
    wish.scopes.find((scope) => !isScope(scope)),
    scopes,
  );
  if (wish.roles.length + wish.scopes.length === 0)
    throw fail("KEY_INVALID", "Cannot create a key: it has neither a role nor a scope", { hint: "Name one, for example the role viewer." });
  const expiresAt = wish.expiresAt === null ? null : parseTime(wish.expiresAt);
  if (wish.expiresAt !== null && (expiresAt === null || expiresAt <= now))
    throw fail("KEY_INVALID", `Cannot create a key: "${wish.expiresAt}" is no time in the future`, { details: { expiresAt: wish.expiresAt } });
  for (const scope of scopesOf(wish.roles, wish.scopes))
    if (!hasScope(maker.caller.scopes, scope))
      throw fail("FORBIDDEN", `Cannot create a key: you lack the scope "${scope}" that it would give`, { details: { scope } });
  // Else a key for a day would be a key for ever.
  if (maker.expiresAt !== null && (expiresAt === null || expiresAt > maker.expiresAt))
    throw fail("FORBIDDEN", "Cannot create a key: it would outlive your own", {
      details: { expiresAt: toIso(maker.expiresAt) },
      hint: `Let it end by ${toIso(maker.expiresAt)}.`,
    });
}

function checkTexts({ name, principal }: KeyWish): void {
  const texts = { name: name ?? "-", principal: principal.id };
  for (const [member, text] of Object.entries(texts))
    if (text === "" || text.length > nameCharsMax)
      throw fail("KEY_INVALID", `Cannot create a key: its ${member} must have 1 to ${nameCharsMax} characters`, { details: { member } });
}

function checkNames(noun: "role" | "scope", unknown: string | undefined, known: readonly string[]): void {
  if (unknown === undefined) return;
  throw fail("KEY_INVALID", `Cannot create a key: unknown ${noun} "${unknown}"`, {
    details: { [noun]: unknown },
    hint: `Known ${noun}s: ${known.join(", ")}.`,
  });
}
