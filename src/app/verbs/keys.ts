// Verbs on API keys: create (the key is shown once), list, revoke.
import { fail, type Json, parseTime, sha256Hex, toIso, toIsoOrNull } from "../../base/index.ts";
import { checkKeyWish, formatKey, principalOf } from "../../access/index.ts";
import type { Caller, CreatedKey, EventDraft, Key, KeyList } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { NewKey, Page } from "../facade.ts";

/** @throws KEY_INVALID, FORBIDDEN when more is granted than the caller has, or for longer */
export async function createKey(context: AppContext, caller: Caller, wish: NewKey): Promise<CreatedKey> {
  const own = caller.keyId === null ? null : await context.store.findKey(caller.keyId);
  checkKeyWish(
    { ...wish, name: wish.name ?? null, expiresAt: wish.expiresAt ?? null },
    { caller, expiresAt: own?.expires_at ?? null },
    context.clock.now(),
  );
  return putKey(context, caller, { ...wish, key: formatKey(crypto.getRandomValues(new Uint8Array(32))), replaces: null });
}

/** A checked wish with its key; `replaces` is the stored row of this very key, which ends in the same commit. */
export type KeyToPut = NewKey & { key: string; replaces: RowOf<"api_keys"> | null };

/** @throws ALREADY_EXISTS when the key is stored and not the one that is replaced */
export async function putKey(context: AppContext, caller: Caller, { replaces, key, ...wish }: KeyToPut): Promise<CreatedKey> {
  const id = context.ids.next();
  const expiresAt = wish.expiresAt === undefined ? null : toIsoOrNull(parseTime(wish.expiresAt));
  const name = wish.name ?? null;
  const { principal } = wish;
  const [roles, scopes] = [[...new Set(wish.roles)], [...new Set(wish.scopes)]];
  const payload = { key_id: id, name, principal: principal as unknown as Json, roles, scopes, expires_at: expiresAt };
  const created = systemEvent(context, caller, { type: "trace.key.created", payload });
  const row = { sha256: sha256Hex(key), key_id: id };
  context.session.ensure();
  await context.ledger.commit({
    events: replaces === null ? [created] : [revocation(context, caller, replaces.key_id), created],
    opens: systemOpens(context),
    sideChanges: [
      replaces === null ? { table: "key_hashes", op: "insert", row } : { table: "key_hashes", op: "put", key: { sha256: row.sha256 }, row },
    ],
  });
  return { id, key, name, principal, roles, scopes, createdAt: toIso(created.time), expiresAt };
}

export async function listKeys(context: AppContext, page: Page): Promise<KeyList> {
  const size = pageSize(page.limit);
  const selection: Parameters<typeof context.store.listKeys>[0] = { limit: size + 1 };
  if (page.cursor !== undefined) {
    const [createdAt, keyId] = readCursor(page.cursor, ["number", "string"]);
    selection.before = { createdAt: Number(createdAt), keyId: String(keyId) };
  }
  const rows = await context.store.listKeys(selection);
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return { keys: shown.map(toKey), nextCursor: rows.length > size && last !== undefined ? writeCursor([last.created_at, last.key_id]) : null };
}

/** Also one's own, and one that has expired. @throws KEY_NOT_FOUND */
export async function revokeKey(context: AppContext, caller: Caller, id: string): Promise<void> {
  const row = await context.store.findKey(id);
  if (row === null || row.revoked_at !== null)
    throw fail("KEY_NOT_FOUND", `Cannot revoke key "${id}": no such key`, { hint: "`workflow key list` shows those that are there." });
  context.session.ensure();
  await context.ledger.commit({ events: [revocation(context, caller, id)], opens: systemOpens(context) });
}

function revocation(context: AppContext, caller: Caller, id: string): EventDraft {
  return systemEvent(context, caller, { type: "trace.key.revoked", payload: { key_id: id } });
}

function toKey(row: RowOf<"api_keys">): Key {
  return {
    id: row.key_id,
    name: row.name,
    principal: principalOf(row),
    roles: JSON.parse(row.roles) as string[],
    scopes: JSON.parse(row.scopes) as string[],
    createdAt: toIso(row.created_at),
    expiresAt: toIsoOrNull(row.expires_at),
  };
}
