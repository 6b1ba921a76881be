// core/file.*: paths, contents, lists, digests, moves.
import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checksumFiles, globFiles, listFolder } from "../../../src/actions/file/listing.ts";
import { copyFile, deleteFiles, moveFile } from "../../../src/actions/file/moving.ts";
import { readFile, writeFile } from "../../../src/actions/file/read-write.ts";
import { codeOf, useFolders } from "./folders.ts";

const folders = useFolders();

test("bare paths lie in the workspace, ./ paths in the workflow's folder, places where they stand", async () => {
  const { workspace, workdir, folder } = folders();
  writeFileSync(join(workspace, "a.txt"), "from the workspace");
  writeFileSync(join(folder, "a.txt"), "from the folder");
  mkdirSync(join(workdir, "in"));
  writeFileSync(join(workdir, "in/a.txt"), "from the inputs");
  const contents = [];
  for (const path of ["a.txt", "./a.txt", "$workspace/a.txt", "$input/a.txt", join(folder, "a.txt")])
    contents.push((await readFile({ path }))["content"]);
  expect(contents).toEqual(["from the workspace", "from the folder", "from the workspace", "from the inputs", "from the folder"]);
  delete process.env["WORKFLOW_DIR"];
  expect(await codeOf(readFile({ path: "./a.txt" }))).toBe("TASK_INPUT_INVALID");
  delete process.env["WORKSPACE"];
  expect(await codeOf(readFile({ path: "a.txt" }))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(readFile({ path: "/etc/\0passwd" }))).toBe("TASK_INPUT_INVALID");
});

test("a file is read as text, lines, JSON and base64, and what does not fit is refused", async () => {
  const { workspace } = folders();
  writeFileSync(join(workspace, "x"), '{"a":1}\n');
  writeFileSync(join(workspace, "binary"), Buffer.from([0xff, 0xfe]));
  expect(await readFile({ path: "x" })).toEqual({ path: "x", size: 8, content: '{"a":1}\n' });
  expect((await readFile({ path: "x", as: "json" }))["content"]).toEqual({ a: 1 });
  expect((await readFile({ path: "x", as: "lines" }))["content"]).toEqual(['{"a":1}']);
  expect((await readFile({ path: "binary", as: "base64" }))["content"]).toBe("//4=");
  expect(await codeOf(readFile({ path: "binary" }))).toBe("TASK_FAILED");
  expect(await codeOf(readFile({ path: "binary", as: "json" }))).toBe("TASK_FAILED");
  expect(await codeOf(readFile({ path: "x", maxBytes: 7 }))).toBe("TOO_LARGE");
  expect(await codeOf(readFile({ path: "none" }))).toBe("FILE_NOT_FOUND");
  expect(await codeOf(readFile({ path: "." }))).not.toBe("none");
  expect(await codeOf(readFile({ path: "/dev/zero" }))).toBe("TASK_INPUT_INVALID");
});

test("a file is written whole, appended to, kept, and with its mode", async () => {
  const { workspace } = folders();
  const written = await writeFile({ path: "deep/er/x.sh", content: "hello", mode: "750" });
  expect(written).toEqual({ path: "deep/er/x.sh", size: 5, sha256: new Bun.CryptoHasher("sha256").update("hello").digest("hex") });
  expect(statSync(join(workspace, "deep/er/x.sh")).mode & 0o777).toBe(0o750);
  await writeFile({ path: "deep/er/x.sh", content: " there", append: true });
  expect(readFileSync(join(workspace, "deep/er/x.sh"), "utf8")).toBe("hello there");
  expect(await codeOf(writeFile({ path: "deep/er/x.sh", content: "", overwrite: false }))).not.toBe("none");
  expect(readFileSync(join(workspace, "deep/er/x.sh"), "utf8")).toBe("hello there");
  await writeFile({ path: "o.json", content: { b: [1] } });
  expect(JSON.parse(readFileSync(join(workspace, "o.json"), "utf8"))).toEqual({ b: [1] });
  await writeFile({ path: "b", content: "/w==", encoding: "base64" });
  expect([...readFileSync(join(workspace, "b"))]).toEqual([0xff]);
  expect(await codeOf(writeFile({ path: "b", content: "no base64!", encoding: "base64" }))).toBe("TASK_INPUT_INVALID");
});

test("lists and patterns are sorted, do not follow links and do not lead out", async () => {
  const { workspace } = folders();
  mkdirSync(join(workspace, "d/e"), { recursive: true });
  for (const name of ["b.csv", "a.csv", "d/e/c.csv", ".hidden.csv"]) writeFileSync(join(workspace, name), "x");
  symlinkSync("/etc", join(workspace, "link"));
  const list = (await listFolder({})) as { entries: { name: string; type: string }[] };
  expect(list.entries.map(({ name, type }) => `${name}:${type}`)).toEqual([".hidden.csv:file", "a.csv:file", "b.csv:file", "d:folder", "link:link"]);
  const all = (await listFolder({ recursive: true })) as { entries: { name: string }[] };
  expect(all.entries.map(({ name }) => name)).toEqual([".hidden.csv", "a.csv", "b.csv", "d", "d/e", "d/e/c.csv", "link"]);
  expect((await globFiles({ patterns: ["**/*.csv", "a.*"] }))["files"]).toEqual(["a.csv", "b.csv", "d/e/c.csv"]);
  expect((await globFiles({ patterns: "*.csv", dot: true }))["files"]).toEqual([".hidden.csv", "a.csv", "b.csv"]);
  expect(await codeOf(globFiles({ patterns: "../*" }))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(globFiles({ patterns: "/etc/*" }))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(listFolder({ path: "none" }))).toBe("FILE_NOT_FOUND");
});

test("checksums are computed and compared", async () => {
  const { workspace } = folders();
  writeFileSync(join(workspace, "x"), "abc");
  const sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(await checksumFiles({ path: "x" })).toEqual({ algorithm: "sha256", checksums: [{ path: "x", size: 3, digest: sha256 }], digest: sha256 });
  expect((await checksumFiles({ paths: ["x", "x"], algorithm: "md5" }))["checksums"]).toHaveLength(2);
  expect(await codeOf(checksumFiles({ path: "x", expected: sha256.toUpperCase() }))).toBe("none");
  expect(await codeOf(checksumFiles({ path: "x", expected: sha256.replace("b", "c") }))).toBe("PAYLOAD_DIGEST_MISMATCH");
  expect(await codeOf(checksumFiles({}))).toBe("TASK_INPUT_INVALID");
});

test("copying and moving keep links, and overwrite only when asked", async () => {
  const { workspace } = folders();
  mkdirSync(join(workspace, "d"));
  writeFileSync(join(workspace, "d/x"), "x");
  symlinkSync("x", join(workspace, "d/l"));
  await copyFile({ from: "d", to: "copy/of/d" });
  expect(readlinkSync(join(workspace, "copy/of/d/l"))).toBe("x");
  expect(await codeOf(copyFile({ from: "d/x", to: "copy/of/d/x" }))).toBe("ALREADY_EXISTS");
  await moveFile({ from: "d/x", to: "copy/of/d/x", overwrite: true });
  expect(existsSync(join(workspace, "d/x"))).toBe(false);
  expect(await codeOf(moveFile({ from: "d/x", to: "y" }))).toBe("FILE_NOT_FOUND");
});

test("deleting needs recursive for folders and says what is missing only when asked", async () => {
  const { workspace } = folders();
  mkdirSync(join(workspace, "d"));
  writeFileSync(join(workspace, "d/x"), "x");
  chmodSync(join(workspace, "d/x"), 0o400);
  expect(await codeOf(deleteFiles({ path: "d" }))).toBe("TASK_INPUT_INVALID");
  expect(await deleteFiles({ paths: ["none", "d"], recursive: true })).toEqual({ deleted: 1 });
  expect(existsSync(join(workspace, "d"))).toBe(false);
  expect(await codeOf(deleteFiles({ path: "none", missing: "fail" }))).toBe("FILE_NOT_FOUND");
});

test("bare paths lie in the workspace, and in the workflow's folder where the task has none", async () => {
  const { workspace, folder } = folders();
  await writeFile({ path: "a.txt", content: "there" });
  expect(readFileSync(join(workspace, "a.txt"), "utf8")).toBe("there");
  delete process.env["WORKSPACE"];
  await writeFile({ path: "data/a.txt", content: "here" });
  expect(readFileSync(join(folder, "data/a.txt"), "utf8")).toBe("here");
  expect(await listFolder({})).toMatchObject({ path: folder, entries: [{ name: "data" }] });
  expect(await globFiles({ patterns: "**/*.txt" })).toMatchObject({ files: ["data/a.txt"] });
  expect(await codeOf(readFile({ path: "$workspace/a.txt" }))).toBe("TASK_INPUT_INVALID");
  delete process.env["WORKFLOW_DIR"];
  expect(await codeOf(readFile({ path: "data/a.txt" }))).toBe("TASK_INPUT_INVALID");
});
