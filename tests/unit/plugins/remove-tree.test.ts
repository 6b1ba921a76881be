// Removing what a task left: whatever it did to its folder, and nothing beside it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emptyTrash, removeTree } from "../../../src/plugins/invoke/remove-tree.ts";
import { until } from "../../product/binary.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "autokestra-remove-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const trash = () => (existsSync(join(root, ".trash")) ? readdirSync(join(root, ".trash")) : []);

test("a tree deeper than any path may be long is removed", () => {
  const start = join(root, "deep");
  mkdirSync(start);
  const name = "d".repeat(200);
  // A chain of 60 names is longer than PATH_MAX: it is built from the inside out.
  for (let level = 0; level < 60; level += 1) {
    mkdirSync(join(root, "next"));
    rmSync(join(root, "next"), { recursive: true });
    Bun.spawnSync(["mv", start, join(root, "inner")]);
    mkdirSync(start);
    Bun.spawnSync(["mv", join(root, "inner"), join(start, name)]);
  }
  removeTree(root, start);
  expect(existsSync(start)).toBe(false);
  expect(trash()).toEqual([]);
});

test("folders without rights and links are no obstacle, and what a link names stays", () => {
  mkdirSync(join(root, "precious"));
  writeFileSync(join(root, "precious", "file"), "x");
  mkdirSync(join(root, "tree", "shut", "inner"), { recursive: true });
  symlinkSync(join(root, "precious"), join(root, "tree", "link"));
  symlinkSync("nowhere", join(root, "tree", "shut", "dangling"));
  chmodSync(join(root, "tree", "shut"), 0o000);
  removeTree(root, join(root, "tree"));
  expect(readdirSync(root).toSorted()).toEqual(["precious"]);
  expect(trash()).toEqual([]);
  expect(readFileSync(join(root, "precious", "file"), "utf8")).toBe("x");
});

test("many files leave their place at once and the disk soon", async () => {
  const tree = join(root, "tree");
  mkdirSync(tree);
  for (let index = 0; index < 5000; index += 1) writeFileSync(join(tree, String(index)), "");
  removeTree(root, tree);
  expect(existsSync(tree)).toBe(false);
  expect(trash().length).toBeGreaterThan(0);
  await until(() => (trash().length === 0 ? true : null));
});

test("what an earlier process did not finish is removed", () => {
  mkdirSync(join(root, ".trash", "1-1", "a"), { recursive: true });
  writeFileSync(join(root, ".trash", "1-2"), "");
  emptyTrash(root);
  expect(trash()).toEqual([]);
});

/** Names that are no UTF-8, also with something in them. */
function makeNameless(folder: string): void {
  mkdirSync(folder);
  const place = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x64])]);
  mkdirSync(place);
  for (const name of [[0xff], [0xc3, 0x28]]) writeFileSync(Buffer.concat([place, Buffer.from("/"), Buffer.from(name)]), "x");
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xfe])]), "x");
}

test("names that are no UTF-8 are removed like others", () => {
  makeNameless(join(root, "tree"));
  removeTree(root, join(root, "tree"));
  expect(readdirSync(root)).toEqual([]);
});

// Only root can give files to other users, and mount.
test.skipIf(process.getuid?.() !== 0)(
  "what cannot be removed is told once and not tried again and again (needs root: a mount in its way)",
  async () => {
    const file = join(root, "tree", "stuck");
    mkdirSync(join(root, "tree"));
    writeFileSync(file, "");
    const told: number[] = [];
    // A mount point is what nobody can remove.
    mkdirSync(join(root, "tree", "mount"));
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "none", join(root, "tree", "mount")]).exitCode === 0;
    removeTree(root, join(root, "tree"), (_trash, left) => void told.push(left));
    const left = trash();
    await Bun.sleep(0);
    expect(told).toEqual(mounted ? [1] : []);
    expect(left.length).toBe(mounted ? 1 : 0);
    const inTrash = join(root, ".trash", left[0] ?? "");
    for (const path of [inTrash, join(inTrash, "mount")]) if (mounted) Bun.spawnSync(["umount", path], { stderr: "ignore" });
  },
);
