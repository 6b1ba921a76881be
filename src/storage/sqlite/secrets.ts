// Encrypted rows: which key they are under, and all of them encrypted again in one step. What is in them only their key's owner knows.
import { fail } from "../../base/index.ts";
import type { RowOf } from "../changes.ts";
import type { EncryptedRow, KeyRotation } from "../ports.ts";
import type { Connection } from "./database.ts";

export function findSecretKey(db: Connection): RowOf<"secret_key"> | null {
  return db.get<RowOf<"secret_key">>("select * from secret_key where id = 1");
}

export function selectSecrets(db: Connection, selection: { afterName?: string; limit: number }): RowOf<"secrets">[] {
  return db.all<RowOf<"secrets">>("select * from secrets where name > ? order by name limit ?", selection.afterName ?? "", selection.limit);
}

export function selectSealed(db: Connection, executionId: string): RowOf<"sealed_values">[] {
  return db.all<RowOf<"sealed_values">>("select * from sealed_values where execution_id = ? order by task, item_index, member", executionId);
}

/** @throws SECRET_KEY_WRONG when the store has another key by now */
export function requireKey(db: Connection, keyId: string): void {
  if (findSecretKey(db)?.key_id === keyId) return;
  throw fail("SECRET_KEY_WRONG", "Cannot write what was encrypted: the store has another master key by now", { hint: "Try again." });
}

/** Row numbers that are held in memory at a time. Rows are not: a sealed value may have a megabyte. */
const portion = 1000;

/** Within a transaction. @throws SECRET_KEY_WRONG, and what `reseal` throws */
export function rotateKey(db: Connection, rotation: KeyRotation): void {
  requireKey(db, rotation.from);
  const { to } = rotation;
  db.run("update secret_key set key_id = ?, source = ?, salt = ?, created_at = ? where id = 1", to.key_id, to.source, to.salt, to.created_at);
  for (const table of ["secrets", "sealed_values"] as const) resealTable(db, table, rotation);
}

function resealTable(db: Connection, table: EncryptedRow["table"], { reseal, to }: KeyRotation): void {
  const change = `update ${table} set key_id = ?, nonce = ?, ciphertext = ? where rowid = ?`;
  for (let after = 0; ; ) {
    const found = db.all<{ rowid: number }>(`select rowid from ${table} where rowid > ? order by rowid limit ${portion}`, after);
    for (const { rowid } of found) {
      const row = db.get<Omit<EncryptedRow, "table">>(`select * from ${table} where rowid = ?`, rowid);
      const { nonce, ciphertext } = reseal({ ...row, table } as EncryptedRow);
      db.run(change, to.key_id, nonce, ciphertext, rowid);
      after = rowid;
    }
    if (found.length < portion) return;
  }
}
