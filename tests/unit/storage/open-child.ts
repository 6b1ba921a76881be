// Another process that opens a store: `bun open-child.ts PATH SECOND`; with SECOND a breaking migration comes after the released ones.
import { openSqliteStore } from "../../../src/storage/index.ts";
import { migrations } from "../../../src/storage/sqlite/migrate.ts";

const [path = "", second = ""] = process.argv.slice(2);
const list = second === "" ? migrations : [...migrations, { id: 900, name: "second", sql: second }];
// The two of a test start together, as near as the machine allows.
process.stdout.write("ready\n");
for await (const _ of Bun.stdin.stream()) break;
await openSqliteStore({ path, durability: "full", now: 1, migrations: list }).close();
