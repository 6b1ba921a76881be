// core/archive.*: what goes in comes out, and hostile archives do no harm.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { pack } from "tar-stream";
import { createArchive } from "../../../src/actions/archive/create.ts";
import { extractArchive } from "../../../src/actions/archive/extract.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { codeOf, useFolders } from "./folders.ts";

const folders = useFolders();

function fill(workspace: string): void {
  mkdirSync(join(workspace, "src/deep"), { recursive: true });
  writeFileSync(join(workspace, "src/a.txt"), "a".repeat(100_000));
  writeFileSync(join(workspace, "src/deep/run.sh"), "#!/bin/sh\n", { mode: 0o755 });
}

for (const format of ["tar", "tar.gz", "zip"]) {
  test(`a folder goes into ${format} and comes out the same`, async () => {
    const { workspace } = folders();
    fill(workspace);
    const made = await createArchive({ paths: "src", to: `out/x.${format}` });
    expect(made).toMatchObject({ path: `out/x.${format}`, entries: 4, size: statSync(join(workspace, `out/x.${format}`)).size });
    const done = await extractArchive({ path: `out/x.${format}`, to: "back", strip: 1 });
    expect(done["bytes"]).toBe(100_010);
    expect(readFileSync(join(workspace, "back/a.txt"), "utf8")).toBe("a".repeat(100_000));
    expect(existsSync(join(workspace, "back/deep/run.sh"))).toBe(true);
    if (format !== "zip") expect(statSync(join(workspace, "back/deep/run.sh")).mode & 0o111).toBe(0o111);
  });
}

test("links stay links, and lead nowhere out", async () => {
  const { workspace } = folders();
  fill(workspace);
  symlinkSync("../a.txt", join(workspace, "src/deep/l"));
  await createArchive({ paths: ["src"], to: "x.tgz" });
  await extractArchive({ path: "x.tgz", to: "back" });
  expect(readlinkSync(join(workspace, "back/src/deep/l"))).toBe("../a.txt");
  expect(await codeOf(createArchive({ paths: ["src"], to: "x.zip" }))).toBe("TASK_INPUT_INVALID");
  expect(existsSync(join(workspace, "x.zip"))).toBe(false);
});

type Entry = { name: string; type?: "file" | "symlink" | "link" | "character-device"; linkname?: string; body?: string };

async function tarOf(path: string, entries: Entry[]): Promise<void> {
  const out = pack();
  for (const { body = "", ...entry } of entries) out.entry(entry, body);
  out.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of out) chunks.push(chunk as Buffer);
  writeFileSync(path, Buffer.concat(chunks));
}

test("nothing of a hostile tar lands outside, nor goes through a link", async () => {
  const { workspace } = folders();
  const outside = join(workspace, "outside");
  mkdirSync(outside);
  const hostile: Entry[][] = [
    [{ name: "../evil", body: "x" }],
    [{ name: "a/../../evil", body: "x" }],
    [{ name: "/evil", body: "x" }],
    [{ name: "link", type: "symlink", linkname: "../outside" }],
    [{ name: "link", type: "symlink", linkname: "/etc" }],
    [{ name: "hard", type: "link", linkname: "../outside" }],
    [{ name: "null", type: "character-device" }],
  ];
  for (const [index, entries] of hostile.entries()) {
    await tarOf(join(workspace, "h.tar"), entries);
    expect([index, await codeOf(extractArchive({ path: "h.tar", to: `t${index}` }))]).not.toEqual([index, "none"]);
  }
  // A link that stays inside is made only after all files: the file through it goes into a real folder of that name, or nowhere.
  await tarOf(join(workspace, "h.tar"), [
    { name: "d", type: "symlink", linkname: "e" },
    { name: "d/x", body: "x" },
  ]);
  expect(await codeOf(extractArchive({ path: "h.tar", to: "t" }))).toBe("ALREADY_EXISTS");
  symlinkSync(outside, join(workspace, "planted"));
  mkdirSync(join(workspace, "p"));
  symlinkSync(outside, join(workspace, "p/d"));
  await tarOf(join(workspace, "h.tar"), [{ name: "d/x", body: "x" }]);
  expect(await codeOf(extractArchive({ path: "h.tar", to: "p" }))).toBe("TASK_INPUT_INVALID");
  expect(existsSync(join(outside, "x"))).toBe(false);
  expect(existsSync(join(workspace, "evil"))).toBe(false);
});

test("bombs stop at the bound, and broken archives fail", async () => {
  const { workspace } = folders();
  await tarOf(join(workspace, "b.tar"), [{ name: "big", body: "x".repeat(50_000) }]);
  expect(await codeOf(extractArchive({ path: "b.tar", to: "t", maxBytes: 10_000 }))).toBe("TOO_LARGE");
  writeFileSync(join(workspace, "b.zip"), zipSync({ big: new Uint8Array(50_000) }));
  expect(await codeOf(extractArchive({ path: "b.zip", to: "t2", maxBytes: 10_000 }))).toBe("TOO_LARGE");
  writeFileSync(join(workspace, "c.zip"), "no zip");
  expect(await codeOf(extractArchive({ path: "c.zip", to: "t3" }))).not.toBe("none");
  writeFileSync(join(workspace, "c.tgz"), "no gzip");
  expect(await codeOf(extractArchive({ path: "c.tgz", to: "t4" }))).not.toBe("none");
  expect(await codeOf(extractArchive({ path: "c.rar", to: "t5" }))).toBe("TASK_INPUT_INVALID");
  writeFileSync(join(workspace, "z.zip"), zipSync({ "../evil": new Uint8Array(1) }));
  expect(await codeOf(extractArchive({ path: "z.zip", to: "t6" }))).toBe("TASK_INPUT_INVALID");
});

test("names start from the deepest folder that holds all paths, unless a base is given", async () => {
  const { workspace, folder } = folders();
  mkdirSync(join(folder, "data/in"), { recursive: true });
  writeFileSync(join(folder, "data/in/a"), "a");
  writeFileSync(join(folder, "data/b"), "b");
  let count = 0;
  const namesOf = async (input: JsonObject) => {
    const to = `t${(count += 1)}`;
    await createArchive({ ...input, to: `${to}.tar` });
    await extractArchive({ path: `${to}.tar`, to });
    return (readdirSync(join(workspace, to), { recursive: true }) as string[]).toSorted();
  };
  expect(await namesOf({ paths: "./data" })).toEqual(["data", "data/b", "data/in", "data/in/a"]);
  expect(await namesOf({ paths: "./data/" })).toEqual(["data", "data/b", "data/in", "data/in/a"]);
  expect(await namesOf({ paths: ["./data/in", "./data/b"] })).toEqual(["b", "in", "in/a"]);
  expect(await namesOf({ paths: ["./data/in/a", "./data/b"] })).toEqual(["b", "in", "in/a"]);
  // A whole place has no name of its own.
  expect(await namesOf({ paths: "." })).toEqual(["data", "data/b", "data/in", "data/in/a"]);
  expect(await namesOf({ paths: "./data/in", base: "." })).toEqual(["data", "data/in", "data/in/a"]);
});
