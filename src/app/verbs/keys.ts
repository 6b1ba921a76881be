// Verbs on API keys: create (the key is shown once), list, revoke.
import { fail, type Json, parseTime, sha256Hex, toIso, toIsoOrNull } from "../../base/index.ts";
import { checkKeyWish, formatKey, principalOf } from "../../access/index.ts";
import type { Caller, CreatedKey, Key, KeyList } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { NewKey, Page } from "../facade.ts";

export async function createKey(context: AppContext, caller: Caller, wish: NewKey & { key?: string }): Promise<CreatedKey> {
  const now = context.clock.now();
  checkKeyWish({ ...wish, expiresAt: wish.expiresAt ?? null }, caller, now);
  const expiresAt = wish.expiresAt === undefined ? null : toIsoOrNull(parseTime(wish.expiresAt));
  const key = wish.key ?? formatKey(crypto.getRandomValues(new Uint8Array(32)));
  const id = context.ids.next();
  const payload = {
    key_id: id,
    name: wish.name ?? null,
    principal: wish.principal as unknown as Json,
    roles: wish.roles,
    scopes: wish.scopes,
    expires_at: expiresAt,
  };
  context.session.ensure();
  await context.ledger.commit({
    events: [systemEvent(context, caller, { type: "trace.key.created", payload: payload })],
    opens: systemOpens(context),
    sideChanges: [{ table: "key_hashes", op: "insert", row: { sha256: sha256Hex(key), key_id: id } }],
  });
  return { id, key, name: wish.name ?? null, principal: wish.principal, roles: wish.roles, scopes: wish.scopes, createdAt: toIso(now), expiresAt };
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

export async function revokeKey(context: AppContext, caller: Caller, id: string): Promise<Key> {
  const row = await context.store.findKey(id);
  if (row === null || row.revoked_at !== null)
    throw fail("KEY_NOT_FOUND", `Cannot revoke key "${id}": no such key`, { hint: "`workflow key list` shows those that are there." });
  context.session.ensure();
  await context.ledger.commit({
    events: [systemEvent(context, caller, { type: "trace.key.revoked", payload: { key_id: id } })],
    opens: systemOpens(context),
  });
  return toKey(row);
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
