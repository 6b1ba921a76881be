// The SQLite store against the contract of stores: in a file, and in memory.
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../src/storage/index.ts";
import { startedAt } from "./requests.ts";
import { describeStore } from "./store-contract.ts";

const folder = mkdtempSync(join(tmpdir(), "store-"));
let count = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const openFile = async (path: string) => openSqliteStore({ path, durability: "normal", now: startedAt });

describeStore(
  "SQLite in a file",
  () => {
    count += 1;
    return openFile(join(folder, String(count), "store.db"));
  },
  (first) => openFile(first.path),
);

describeStore("SQLite in memory", async () => openSqliteStore({ path: ":memory:", durability: "normal", now: startedAt }));
