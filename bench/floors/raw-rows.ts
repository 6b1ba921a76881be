// The floor of the ledger: plain bun:sqlite that inserts rows of given bytes, with the store's settings but no index, trigger or fold.
import { Database } from "bun:sqlite";

export type RawRow = { eventId: Uint8Array; hash: Uint8Array; time: number; body: string };

export class RawRows {
  readonly #db: Database;
  readonly #insert: ReturnType<Database["prepare"]>;

  constructor(path: string, durability: "full" | "normal") {
    this.#db = new Database(path, { strict: true, create: true });
    for (const setting of ["journal_mode = wal", `synchronous = ${durability}`, "wal_autocheckpoint = 2000", "cache_size = -16000"])
      this.#db.run(`pragma ${setting}`);
    this.#db.run(
      "create table rows (seq integer primary key, event_id blob not null, hash blob not null, time integer not null, body text not null) strict",
    );
    this.#insert = this.#db.prepare("insert into rows (event_id, hash, time, body) values (?, ?, ?, ?)");
  }

  /** One durable transaction. */
  add(rows: readonly RawRow[]): void {
    this.#db.run("begin immediate");
    for (const row of rows) this.#insert.run(row.eventId, row.hash, row.time, row.body);
    this.#db.run("commit");
  }

  close(): void {
    this.#insert.finalize();
    this.#db.close();
  }
}
