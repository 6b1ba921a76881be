// Trees on their way into a backup: of one moment, nothing followed, nothing that is not a file or a link.
import { expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPieces, stageTree } from "../../../src/app/backup/files.ts";
import { sha256Hex } from "../../../src/base/index.ts";
import { freshFolder } from "./backup-file.ts";

const folder = freshFolder();
const fresh = (name: string) => mkdtempSync(join(folder, name));
const codeOf = (work: () => unknown) => {
  try {
    work();
    return "none";
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
};

test("a tree is copied with its links and programs, without what is being installed", () => {
  const from = fresh("from-");
  mkdirSync(join(from, "acme/report/.hidden"), { recursive: true });
  mkdirSync(join(from, ".install-1"));
  writeFileSync(join(from, ".install-1/half"), "x");
  writeFileSync(join(from, "acme/report/plugin.yaml"), "a: 1\n");
  writeFileSync(join(from, "acme/report/.hidden/data"), "d");
  writeFileSync(join(from, "acme/report/run.sh"), "#!/bin/sh\n");
  chmodSync(join(from, "acme/report/run.sh"), 0o755);
  symlinkSync("run.sh", join(from, "acme/report/go"));
  const to = fresh("to-");
  expect(stageTree(from, to, "plugins")).toEqual({
    files: [
      { path: "plugins/acme/report/.hidden/data", size: 1, sha256: sha256Hex("d") },
      { path: "plugins/acme/report/plugin.yaml", size: 5, sha256: sha256Hex("a: 1\n") },
      { path: "plugins/acme/report/run.sh", size: 10, sha256: sha256Hex("#!/bin/sh\n"), executable: true },
    ],
    links: [{ path: "plugins/acme/report/go", target: "run.sh" }],
  });
  expect(readFileSync(join(to, "plugins/acme/report/plugin.yaml"), "utf8")).toBe("a: 1\n");
  expect(lstatSync(join(to, "plugins/acme/report/go"), { throwIfNoEntry: false })).toBeUndefined();
});

test("a pipe is refused, not read", () => {
  const from = fresh("from-");
  expect(Bun.spawnSync(["mkfifo", join(from, "pipe")]).exitCode).toBe(0);
  expect(codeOf(() => stageTree(from, fresh("to-"), "plugins"))).toBe("FILE_NOT_FOUND");
  expect(codeOf(() => [...readPieces(join(from, "pipe"), { size: 1, sha256: "" })])).toBe("FILE_NOT_FOUND");
});

test("bytes that are not the stored ones are refused, whichever way they differ", () => {
  const file = join(fresh("from-"), "blob");
  const wanted = { size: 4, sha256: sha256Hex("blob") };
  for (const [text, code] of [
    ["blob", "none"],
    ["blab", "PAYLOAD_DIGEST_MISMATCH"],
    ["blo", "PAYLOAD_DIGEST_MISMATCH"],
    ["blobs", "PAYLOAD_DIGEST_MISMATCH"],
  ] as const) {
    writeFileSync(file, text);
    expect([text, codeOf(() => [...readPieces(file, wanted)])]).toEqual([text, code]);
  }
  const link = join(folder, "link");
  symlinkSync(file, link);
  expect(codeOf(() => [...readPieces(link, wanted)])).toBe("FILE_NOT_FOUND");
});
