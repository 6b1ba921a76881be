// A restored store takes the old one's place as a whole, from wherever the process that moved it died.
import { expect, test } from "bun:test";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { beginRestore, finishRestore, type Move } from "../../../src/app/backup/moves.ts";
import { freshFolder } from "./backup-file.ts";

const folder = freshFolder();
const codeOf = (work: () => void) => {
  try {
    work();
    return "none";
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
};

/** A store of texts, with a new one in its staging folder. */
function prepare(): { home: string; store: string; staging: string; moves: Move[] } {
  const home = mkdtempSync(join(folder, "home-"));
  const staging = join(home, ".restore-x");
  for (const [root, text] of [
    [home, "old"],
    [staging, "new"],
  ] as const) {
    for (const name of ["blobs", "plugins"]) {
      mkdirSync(join(root, name), { recursive: true });
      writeFileSync(join(root, name, "file"), text);
    }
    writeFileSync(join(root, "store.db"), text);
  }
  writeFileSync(join(home, "store.db-wal"), "old");
  mkdirSync(join(home, "atlases"));
  const keep = (name: string): Move => ({ kind: "keep", from: join(home, name), to: join(home, name.replace(/(-wal)?$/, ".before$1")) });
  const put = (name: string): Move => ({ kind: "put", from: join(staging, name), to: join(home, name) });
  const moves = [keep("store.db-wal"), keep("store.db"), put("store.db"), keep("blobs"), put("blobs"), keep("plugins"), put("plugins")];
  return { home, store: join(home, "store.db"), staging, moves };
}

const textsOf = (home: string) =>
  Object.fromEntries(
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [relative(home, join(entry.parentPath, entry.name)), readFileSync(join(entry.parentPath, entry.name), "utf8")]),
  );
const moved = {
  "store.db": "new",
  "blobs/file": "new",
  "plugins/file": "new",
  "store.db.before": "old",
  "store.db.before-wal": "old",
  "blobs.before/file": "old",
  "plugins.before/file": "old",
};

test("all is moved, what was there is kept, and nothing else is left", () => {
  const { home, store, staging, moves } = prepare();
  const mine = mkdtempSync(join(folder, "staged-"));
  renameSync(staging, join(mine, "new"));
  mkdirSync(join(home, ".restore-killed"));
  const restoring = beginRestore(store);
  expect(readdirSync(home).filter((name) => name.startsWith(".restore-"))).toEqual([basename(restoring.staging)]);
  for (const name of readdirSync(join(mine, "new"))) renameSync(join(mine, "new", name), join(restoring.staging, name));
  restoring.move(moves.map((move) => ({ ...move, from: move.from.replace(staging, restoring.staging) })));
  restoring.end();
  expect(textsOf(home)).toEqual(moved);
  expect(readdirSync(home).filter((name) => name.startsWith(".restore-"))).toEqual([]);
});

test("what was not moved leaves nothing, and one that was killed while it moved is finished first", () => {
  const { home, store, staging, moves } = prepare();
  writeFileSync(join(home, "restore.json"), JSON.stringify({ moves, staging }));
  beginRestore(store).end();
  expect(textsOf(home)).toEqual(moved);
});

/** As the process that died had done it: the database under both names until the new one is there. */
function carry({ kind, from, to }: Move): void {
  if (kind === "keep" && from.endsWith("store.db")) linkSync(from, to);
  else renameSync(from, to);
}

test("what a process that died after any move left is finished by the next one", () => {
  const { length } = prepare().moves;
  for (let died = 0; died <= length; died += 1) {
    const { home, store, staging, moves } = prepare();
    writeFileSync(join(home, "restore.json"), JSON.stringify({ moves, staging }));
    moves.slice(0, died).forEach(carry);
    expect(existsSync(store)).toBe(true);
    finishRestore(store);
    expect({ died, texts: textsOf(home) }).toEqual({ died, texts: moved });
  }
});

test("while one process moves, others wait and do not move too", async () => {
  const { home, store, staging, moves } = prepare();
  writeFileSync(join(home, "restore.json"), JSON.stringify({ moves, staging }));
  const holder = `
    import { holdSqlite } from ${JSON.stringify(join(import.meta.dir, "../../../src/storage/index.ts"))};
    const lock = holdSqlite(${JSON.stringify(join(home, "restore.lock"))}, { waitMs: 100 });
    process.stdout.write("held");
    process.stdin.once("data", () => { lock.release(); process.exit(0); });`;
  const child = Bun.spawn([process.execPath, "-e", holder], { stdin: "pipe", stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("held");
  expect(codeOf(() => finishRestore(store))).toBe("STORE_IN_USE");
  expect(textsOf(home)["store.db"]).toBe("old");
  child.stdin.write("x");
  child.stdin.end();
  await child.exited;
  finishRestore(store);
  expect(textsOf(home)).toEqual(moved);
});

test("without a list nothing is done, and one that cannot be read is said", () => {
  const { home, store } = prepare();
  const before = textsOf(home);
  finishRestore(store);
  expect(textsOf(home)).toEqual(before);
  writeFileSync(join(home, "restore.json"), "{");
  expect(codeOf(() => finishRestore(store))).toBe("STORE_UNAVAILABLE");
  expect(existsSync(join(home, "store.db"))).toBe(true);
});
