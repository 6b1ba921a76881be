// Verbs on secrets: list, set, get, delete, and a new key for all of them. Values are in no event, no message and no list.
import { fail, isCoded, toIso } from "../../base/index.ts";
import {
  type Caller,
  checkSecretName,
  checkSecretSize,
  principalText,
  type Secret,
  type SecretKeyRotation,
  type SecretList,
} from "../../model/index.ts";
import { utf8Text } from "../../secrets/index.ts";
import type { EncryptedRow, KeyRotation } from "../../storage/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { Page } from "../facade.ts";

/** Rotations between taking the key and the commit; more of them in a row are no accident. */
const triesMax = 5;

export async function listSecrets(context: AppContext, page: Page): Promise<SecretList> {
  const size = pageSize(page.limit);
  const after = page.cursor === undefined ? {} : { afterName: String(readCursor(page.cursor, ["string"])[0]) };
  const rows = await context.store.listSecrets({ ...after, limit: size + 1 });
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    secrets: shown.map((row) => ({ name: row.name, createdAt: toIso(row.created_at), updatedAt: toIso(row.updated_at), by: row.by })),
    nextCursor: rows.length > size && last !== undefined ? writeCursor([last.name]) : null,
  };
}

export async function setSecret(context: AppContext, caller: Caller, secret: Secret): Promise<void> {
  const { name } = secret;
  checkSecretName(name);
  const value = decodeValue(secret);
  checkSecretSize(value.length);
  context.session.ensure();
  await afterRotations(async () => {
    const key = await context.vault.key();
    const there = await context.store.findSecret(name);
    const now = context.clock.now();
    const row = key.encryptSecret(name, value, { createdAt: there?.created_at ?? now, now, by: principalText(caller.principal) });
    return () =>
      context.ledger.commit({
        events: [systemEvent(context, caller, { type: "trace.secret.written", payload: { name } })],
        opens: systemOpens(context),
        sideChanges: [{ table: "secrets", op: "put", key: { name }, row }],
        sealedWith: key.id,
      });
  });
}

/** @throws SECRET_INVALID */
function decodeValue({ value, encoding }: Secret): Uint8Array {
  if (encoding === undefined) {
    // A half of a pair has no UTF-8: what would be stored is another text.
    if (value.isWellFormed()) return new TextEncoder().encode(value);
    throw fail("SECRET_INVALID", "Cannot store the secret: its value is a text that has no UTF-8", { hint: "Send bytes with encoding base64." });
  }
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" });
  } catch {
    throw fail("SECRET_INVALID", "Cannot store the secret: its value is not base64", { hint: "Send it padded, in the alphabet with + and /." });
  }
}

export async function getSecret(context: AppContext, name: string): Promise<Secret> {
  const value = (await context.vault.readSecrets([name])).get(name);
  if (value === undefined) throw notFound("show", name);
  const text = utf8Text(value);
  return text === null ? { name, value: value.toBase64(), encoding: "base64" } : { name, value: text };
}

export async function deleteSecret(context: AppContext, caller: Caller, name: string): Promise<void> {
  if ((await context.store.findSecret(name)) === null) throw notFound("delete", name);
  context.session.ensure();
  await context.ledger.commit({
    events: [systemEvent(context, caller, { type: "trace.secret.deleted", payload: { name } })],
    opens: systemOpens(context),
    sideChanges: [{ table: "secrets", op: "delete", key: { name } }],
  });
}

export async function rotateSecretKey(context: AppContext, caller: Caller): Promise<SecretKeyRotation> {
  context.session.ensure();
  return afterRotations(async () => {
    const { rotation, done } = await context.vault.rotate();
    const { counted, seen } = countRows(rotation);
    const { key_id: keyId, source } = rotation.to;
    return async () => {
      try {
        await context.ledger.commit({
          events: [systemEvent(context, caller, { type: "trace.secret.rotated", payload: { key_id: keyId } })],
          opens: systemOpens(context),
          rotation: counted,
        });
      } finally {
        await done();
      }
      return { keyId, source, secrets: seen.secrets.size, sealedValues: seen.sealed_values.size };
    };
  });
}

/** Rows are counted once: a refused neighbour in the same transaction makes the store write everything a second time. */
function countRows(rotation: KeyRotation): { counted: KeyRotation; seen: Record<EncryptedRow["table"], Set<string>> } {
  const seen = { secrets: new Set<string>(), sealed_values: new Set<string>() };
  const reseal: KeyRotation["reseal"] = (row) => {
    seen[row.table].add(row.table === "secrets" ? row.name : JSON.stringify([row.execution_id, row.task, row.item_index, row.member]));
    return rotation.reseal(row);
  };
  return { counted: { ...rotation, reseal }, seen };
}

/**
 * Prepares with the present key, then commits; again when the key was rotated between the two. A key that is wrong from the start
 * is refused while preparing, and that stands.
 */
async function afterRotations<R>(prepare: () => Promise<() => Promise<R>>): Promise<R> {
  for (let tries = 1; ; tries++) {
    const commit = await prepare();
    try {
      return await commit();
    } catch (thrown) {
      if (!isCoded(thrown, "SECRET_KEY_WRONG") || tries === triesMax) throw thrown;
    }
  }
}

function notFound(verb: string, name: string): Error {
  const hint = "`workflow secrets list` shows those that are there.";
  return fail("SECRET_NOT_FOUND", `Cannot ${verb} secret "${name}": no such secret`, { hint });
}
