// What comes out of a backup: exactly what its manifest names, and nothing of a file that is damaged, cut, foreign or hostile.
import { expect, test } from "bun:test";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { checkSeal, writeArchive } from "../../../src/app/backup/seal.ts";
import { unpack } from "../../../src/app/backup/unpack.ts";
import { sha256Hex } from "../../../src/base/index.ts";
import { type Entry, entryOf, fileOf, freshFolder, type ManifestFile, manifestOf, sealed, writeBackup } from "./backup-file.ts";

const folder = freshFolder();
const file = join(folder, "backup.tar.gz");

async function unpackFile(): Promise<string> {
  const into = mkdtempSync(join(folder, "into-"));
  const source = await open(file, "r");
  try {
    const { bodyBytes } = await checkSeal(source, file, () => undefined);
    await unpack({ source, file, bodyBytes, folder: into, signal: new AbortController().signal, onBytes: () => undefined });
    return into;
  } finally {
    await source.close();
  }
}

/** The code of what it throws. */
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (thrown: { code?: string }) => thrown.code ?? String(thrown),
  );

const body = "x".repeat(3000);
const blob = `blobs/${sha256Hex(body).slice(0, 2)}/${sha256Hex(body)}`;
const program = "plugins/acme/report/run.sh";

test("what was packed comes out: bytes, modes, links", async () => {
  const files = [
    fileOf(blob, body),
    { ...fileOf(program, "#!/bin/sh\n"), executable: true as const },
    fileOf("plugins/acme/report/plugin.yaml", ""),
    fileOf("keys/secret.key", "k"),
  ];
  const links = [{ path: "plugins/acme/report/bin/run", target: "../run.sh" }];
  await writeBackup(file, manifestOf(files, { links }), [
    entryOf(blob, body),
    entryOf(program, "#!/bin/sh\n"),
    entryOf("plugins/acme/report/plugin.yaml", ""),
    entryOf("keys/secret.key", "k"),
  ]);
  const into = await unpackFile();
  expect(readFileSync(join(into, blob), "utf8")).toBe(body);
  const modeOf = (path: string) => (statSync(join(into, path)).mode & 0o777).toString(8);
  expect([blob, program, "plugins/acme/report/plugin.yaml", "keys/secret.key", "autokestra.db", "keys", "blobs"].map(modeOf)).toEqual([
    "600",
    "755",
    "644",
    "600",
    "600",
    "700",
    "700",
  ]);
  expect(readlinkSync(join(into, "plugins/acme/report/bin/run"))).toBe("../run.sh");
});

test("a bit that flipped anywhere is found, and so is a file that was cut anywhere", async () => {
  await writeBackup(file, manifestOf([fileOf(blob, body)]), [entryOf(blob, body)]);
  const whole = readFileSync(file);
  const missed: string[] = [];
  for (let at = 0; at < whole.byteLength; at += 1) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(file, changed);
    if ((await codeOf(unpackFile())) !== "PAYLOAD_DIGEST_MISMATCH") missed.push(`bit at ${at}`);
    writeFileSync(file, whole.subarray(0, at));
    if ((await codeOf(unpackFile())) !== "PAYLOAD_DIGEST_MISMATCH") missed.push(`cut at ${at}`);
  }
  expect(missed).toEqual([]);
  writeFileSync(file, Buffer.concat([whole, Buffer.from([0])]));
  expect(await codeOf(unpackFile())).toBe("PAYLOAD_DIGEST_MISMATCH");
  writeFileSync(file, whole);
  expect(await codeOf(unpackFile())).toBe("none");
});

type Hostile = { files?: ManifestFile[]; more?: Record<string, unknown>; entries?: Entry[]; manifest?: string };
const [small, other] = ["plugins/a/b", "plugins/a/c"];
const hostile: Record<string, Hostile> = {
  "an absolute path": { files: [fileOf("/tmp/x", "x")], entries: [entryOf("/tmp/x", "x")] },
  "a path that leads out": { files: [fileOf("plugins/../../x", "x")], entries: [entryOf("plugins/../../x", "x")] },
  "a path with an empty part": { files: [fileOf("plugins//x", "x")], entries: [entryOf("plugins//x", "x")] },
  "a folder that no store has": { files: [fileOf("work/x", "x")], entries: [entryOf("work/x", "x")] },
  "a file that no store has": { files: [fileOf("admin.key", "x")], entries: [entryOf("admin.key", "x")] },
  "a folder below the keys": { files: [fileOf("keys/a/b", "x")], entries: [entryOf("keys/a/b", "x")] },
  "a blob under another name": { files: [fileOf(blob, "x")], entries: [entryOf(blob, "x")] },
  "an entry that the manifest does not name": { entries: [entryOf(small, "x")] },
  "an entry too few": { files: [fileOf(small, "x")] },
  "entries in another order": { files: [fileOf(small, "x"), fileOf(other, "x")], entries: [entryOf(other, "x"), entryOf(small, "x")] },
  "an entry twice": { files: [fileOf(small, "x")], entries: [entryOf(small, "x"), entryOf(small, "x")] },
  "a name twice": { files: [fileOf(small, "x"), fileOf(small, "x")], entries: [entryOf(small, "x"), entryOf(small, "x")] },
  "a file below a file": { files: [fileOf(small, "x"), fileOf(`${small}/c`, "x")], entries: [entryOf(small, "x"), entryOf(`${small}/c`, "x")] },
  "another size": { files: [fileOf(small, "xx")], entries: [entryOf(small, "x")] },
  "other bytes": { files: [fileOf(small, "x")], entries: [entryOf(small, "y")] },
  "a link in place of a file": { files: [fileOf(small, "")], entries: [{ header: { name: small, type: "symlink", linkname: "/etc/passwd" } }] },
  "a hard link in place of a file": { files: [fileOf(small, "")], entries: [{ header: { name: small, type: "link", linkname: "autokestra.db" } }] },
  "a folder in place of a file": { files: [fileOf(small, "")], entries: [{ header: { name: small, type: "directory" } }] },
  "a device in place of a file": { files: [fileOf(small, "")], entries: [{ header: { name: small, type: "character-device" } }] },
  "a link that leads out": { more: { links: [{ path: small, target: "../../../x" }] } },
  "a link that leads out of its tree": { more: { links: [{ path: small, target: "../../keys/secret.key" }] } },
  "an absolute link": { more: { links: [{ path: small, target: "/etc" }] } },
  "a link in place of the blobs": { more: { links: [{ path: "blobs", target: "plugins" }] } },
  "a file behind a link": {
    files: [fileOf(`${small}/c`, "x")],
    entries: [entryOf(`${small}/c`, "x")],
    more: { links: [{ path: small, target: "c" }] },
  },
  "a link behind a link": {
    more: {
      links: [
        { path: small, target: "../d/e" },
        { path: `${small}/c`, target: "../../d" },
      ],
    },
  },
  "a manifest with more members": { more: { hook: "x" } },
  "a manifest without files": { more: { files: [] } },
  "a manifest whose first file is another": { more: { files: [fileOf(small, "x")] } },
  "a manifest that is no JSON": { manifest: "{" },
  "a manifest of something else": { manifest: "[]" },
};

for (const [what, { files = [], more = {}, entries = [], manifest }] of Object.entries(hostile))
  test(`refused, though its seal fits: ${what}`, async () => {
    await writeBackup(file, manifest ?? manifestOf(files, more), entries);
    expect(await codeOf(unpackFile())).toBe("PAYLOAD_DIGEST_MISMATCH");
    expect(lstatSync("/tmp/x", { throwIfNoEntry: false })).toBeUndefined();
  });

test("a later form is refused as one, and what is sealed and no archive as damaged", async () => {
  await writeBackup(file, manifestOf([], { version: 2, something: "new" }), []);
  expect(await codeOf(unpackFile())).toBe("STACK_INCOMPATIBLE");
  for (const body of ["", "text", "\x1f\x8b"]) {
    writeFileSync(file, sealed(Buffer.from(body, "latin1")));
    expect(await codeOf(unpackFile())).toBe("PAYLOAD_DIGEST_MISMATCH");
  }
});

test("an archive is for its owner only, its digest is that of the file, and other tools can read it", async () => {
  const target = join(folder, "written.tar.gz");
  const entries = async function* () {
    yield { path: "a", size: 3, executable: false, pieces: [Buffer.from("a"), Buffer.from("bc")] };
    yield { path: `long/${"n".repeat(200)}`, size: 0, executable: true, pieces: [] };
  };
  const written = await writeArchive(target, entries(), 0);
  const bytes = readFileSync(target);
  expect(written).toEqual({ bytes: bytes.byteLength, sha256: sha256Hex(bytes) });
  expect((statSync(target).mode & 0o777).toString(8)).toBe("600");
  expect(gunzipSync(bytes).subarray(0, 1).toString()).toBe("a");
  const listed = Bun.spawnSync(["tar", "tzf", target]);
  expect([listed.stdout.toString(), listed.exitCode]).toEqual([`a\nlong/${"n".repeat(200)}\n`, 0]);
});

test("what goes wrong while an archive is written is thrown, and nothing waits for ever", async () => {
  const entries = async function* () {
    const big = Buffer.alloc(4 * 1024 * 1024, 1);
    yield {
      path: "a",
      size: 2 * big.byteLength,
      executable: false,
      pieces: (function* () {
        yield big;
        throw new Error("no more");
      })(),
    };
  };
  await expect(writeArchive(join(folder, "broken"), entries(), 0)).rejects.toThrow("no more");
});
