// Migrations: recorded by digest, in one step, with a copy of the store before a breaking one.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { sha256Hex } from "../../../src/base/index.ts";
import { openSqliteStore } from "../../../src/storage/index.ts";
import { isBreaking, type Migration, migrations } from "../../../src/storage/sqlite/migrate.ts";
import { codeOf, openTrace, startedAt } from "../../contract/requests.ts";
import { renderSchema, schemaPath } from "./schema.ts";
import { temporaryStores } from "./temporary.ts";

const { open, path } = temporaryStores();
const additive: Migration = { id: 900, name: "extra", sql: "create table extra (id integer primary key) strict;" };
const breaking: Migration = { id: 901, name: "rename", sql: "--! breaking\nalter table workflows rename column folder to place;" };

const openWith = async (at: string, list: readonly Migration[]) =>
  openSqliteStore({ path: at, durability: "normal", now: startedAt, migrations: list });
const columnsOf = (at: string) => {
  const db = new Database(at, { readonly: true });
  const names = db
    .query<{ name: string }, []>("select name from pragma_table_info('workflows')")
    .all()
    .map((row) => row.name);
  db.close();
  return names;
};

async function closed(at: string): Promise<string> {
  const store = openSqliteStore({ path: at, durability: "normal", now: startedAt });
  await openTrace(store);
  await store.close();
  return at;
}

describe("migrations", () => {
  test("the dumped schema is that of a fresh store", async () => {
    expect(readFileSync(schemaPath, "utf8")).toBe(await renderSchema());
  });

  test("each is recorded with the digest of its text", async () => {
    const at = await closed(path());
    const db = new Database(at, { readonly: true });
    expect(db.query("select id, name, sha256, applied_at from migrations").all()).toEqual(
      migrations.map(({ id, name, sql }) => ({ id, name, sha256: sha256Hex(sql), applied_at: startedAt })),
    );
    db.close();
  });

  test("an older store is brought up without losing anything, and without a copy when nothing breaks", async () => {
    const at = await closed(path());
    const store = await openWith(at, [...migrations, additive]);
    expect(await store.lastSeq()).toBe(1);
    await store.close();
    expect(readdirSync(dirname(at))).toEqual(["store.db"]);
  });

  test("a breaking one is known by its mark, and the store is copied beside itself first", async () => {
    expect([additive, breaking].map(isBreaking)).toEqual([false, true]);
    const at = await closed(path());
    await (await openWith(at, [...migrations, additive, breaking])).close();
    const copy = `${at}.before-900-901`;
    expect(columnsOf(at)).toContain("place");
    expect(columnsOf(copy)).toContain("folder");
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const old = open(copy);
    expect(await old.lastSeq()).toBe(1);
  });

  test("a new store needs no copy", async () => {
    const at = path();
    await (await openWith(at, [...migrations, breaking])).close();
    expect(readdirSync(dirname(at))).toEqual(["store.db"]);
  });

  test("one that fails leaves the store as it was", async () => {
    const at = await closed(path());
    const bad: Migration = { id: 900, name: "bad", sql: "create table extra (id integer) strict; create table extra (id integer) strict;" };
    expect(await codeOf(openWith(at, [...migrations, bad]))).toBe("STORE_UNAVAILABLE");
    const store = open(at);
    expect(await store.lastSeq()).toBe(1);
    await (await openWith(at, [...migrations, additive])).close();
  });

  test("a store with an unknown or a changed migration is too new", async () => {
    const newer = path();
    await (await openWith(newer, [...migrations, additive])).close();
    expect(await codeOf(openWith(newer, migrations))).toBe("SCHEMA_TOO_NEW");
    const changed = path();
    await (await openWith(changed, [...migrations, additive])).close();
    expect(await codeOf(openWith(changed, [...migrations, { ...additive, sql: `${additive.sql} ` }]))).toBe("SCHEMA_TOO_NEW");
  });

  test("what cannot be opened says so", async () => {
    const at = await closed(path());
    expect(await codeOf(openWith(dirname(at), migrations))).toBe("STORE_UNAVAILABLE");
    const noStore = join(dirname(at), "text.db");
    await Bun.write(noStore, "this is no database, whatever its name says ".repeat(30));
    expect(await codeOf(openWith(noStore, migrations))).toBe("STORE_UNAVAILABLE");
  });

  for (const [name, isNew] of [
    ["a new store", true],
    ["an older store that a breaking one changes", false],
  ] as const)
    test(`two processes may bring up ${name} at once`, async () => {
      const at = isNew ? path() : await closed(path());
      const children = [1, 2, 3].map(() =>
        Bun.spawn([process.execPath, join(import.meta.dir, "open-child.ts"), at, isNew ? "" : breaking.sql], {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "pipe",
        }),
      );
      for (const child of children) for await (const _ of child.stdout) break;
      for (const child of children) void child.stdin.write("go\n");
      for (const child of children) void child.stdin.end();
      const errors = await Promise.all(children.map(async (child) => `${await new Response(child.stderr).text()}${await child.exited}`));
      expect(errors).toEqual(["0", "0", "0"]);
      expect(columnsOf(at)).toContain(isNew ? "folder" : "place");
      expect(existsSync(`${at}.before-900`)).toBe(!isNew);
      if (!isNew) expect(columnsOf(`${at}.before-900`)).toContain("folder");
    });
});
