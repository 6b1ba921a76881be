// A folder that is gone after the tests of a file, and stores in it.
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, type SqliteOptions, type Store } from "../../../src/storage/index.ts";
import { startedAt } from "../../contract/requests.ts";

/** Call at the top of a test file. */
export function temporaryStores(): { folder: string; path(): string; open(path?: string, over?: Partial<SqliteOptions>): Store } {
  const folder = mkdtempSync(join(tmpdir(), "store-"));
  const stores: Store[] = [];
  let count = 0;
  afterAll(async () => {
    for (const store of stores) await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const path = () => {
    count += 1;
    return join(folder, `s${count}`, "store.db");
  };
  const open = (at = path(), over: Partial<SqliteOptions> = {}) => {
    const store = openSqliteStore({ path: at, durability: "normal", now: startedAt, ...over });
    stores.push(store);
    return store;
  };
  return { folder, path, open };
}
