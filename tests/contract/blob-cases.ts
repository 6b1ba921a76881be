// Files taken into a store: copied piece by piece, named by a commit, read piece by piece.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits, sha256Hex } from "../../src/base/index.ts";
import type { OpenedBlob } from "../../src/storage/index.ts";
import { codeOf, draftOf, openTrace, outcomeOf, requestOf } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const contentType = "text/csv";
const bytesMax = 8 * 1024 * 1024;

async function readAll(blob: OpenedBlob | null): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  if (blob !== null) for await (const piece of blob.pieces()) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}

type Files = { folder: string; fileOf(bytes: Uint8Array | string): string };

function temporaryFiles(): Files {
  const folder = mkdtempSync(join(tmpdir(), "import-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  const fileOf = (bytes: Uint8Array | string): string => {
    count += 1;
    const path = join(folder, `f${count}`);
    writeFileSync(path, bytes);
    return path;
  };
  return { folder, fileOf };
}

export function blobCases(open: OpenStore): void {
  describe("imported files", () => {
    const files = temporaryFiles();
    goodImports(open, files);
    refusedImports(open, files);
  });
}

function goodImports(open: OpenStore, { fileOf }: Files): void {
  for (const size of [0, 10, limits.blobRowBytesMax, 3 * limits.blobRowBytesMax + 7])
    test(`of ${size} bytes come back whole once a commit has named them, and twice is once`, async () => {
      const store = await open();
      const trace = await openTrace(store);
      const bytes = new Uint8Array(size).map((_, index) => (index * 31) % 251);
      for (let times = 0; times < 2; times += 1) {
        const imported = await store.importBlob({ path: fileOf(bytes), bytesMax });
        expect(imported).toEqual({ sha256: sha256Hex(bytes), size });
        expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { blobFiles: [{ ...imported, contentType }] })]))).toBe("ok");
      }
      const found = await store.openBlob(sha256Hex(bytes));
      expect(found?.size).toBe(size);
      expect(sha256Hex(await readAll(found))).toBe(sha256Hex(bytes));
      expect(sha256Hex((await store.findBlob(sha256Hex(bytes)))?.bytes ?? "none")).toBe(sha256Hex(bytes));
    });

  test("a blob that came with a commit is read piece by piece too", async () => {
    const store = await open();
    const trace = await openTrace(store);
    for (const size of [5, limits.blobRowBytesMax + 1]) {
      const bytes = new Uint8Array(size).fill(size % 200);
      const blob = { sha256: sha256Hex(bytes), bytes, contentType };
      if (size > limits.blobRowBytesMax) await store.writeBlobFile(blob);
      expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { blobs: [blob] })]))).toBe("ok");
      const found = await store.openBlob(blob.sha256);
      expect([found?.contentType, sha256Hex(await readAll(found))]).toEqual([contentType, blob.sha256]);
    }
    expect(await store.openBlob("0".repeat(64))).toBeNull();
  });
}

function refusedImports(open: OpenStore, { folder, fileOf }: Files): void {
  test("links, folders, pipes and what is not there are refused, and nothing is waited for", async () => {
    const store = await open();
    const target = fileOf("secret");
    const link = join(folder, "link");
    symlinkSync(target, link);
    const place = join(folder, "place");
    mkdirSync(place);
    const pipe = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    for (const path of [link, place, pipe, join(folder, "none"), "/dev/zero"])
      expect(await codeOf(store.importBlob({ path, bytesMax }))).toBe("FILE_NOT_FOUND");
  });

  test("one that is too large, or is not what was said, is refused", async () => {
    const store = await open();
    const path = fileOf("four");
    expect(await codeOf(store.importBlob({ path, bytesMax: 3 }))).toBe("TOO_LARGE");
    expect(await codeOf(store.importBlob({ path, bytesMax: 4 }))).toBe("ok");
    expect(await codeOf(store.importBlob({ path, bytesMax, sha256: "0".repeat(64) }))).toBe("PAYLOAD_DIGEST_MISMATCH");
    expect(await codeOf(store.importBlob({ path, bytesMax, sha256: sha256Hex("four") }))).toBe("ok");
    const sparse = fileOf("");
    truncateSync(sparse, limits.artifactBytesMax + 1);
    expect(await codeOf(store.importBlob({ path: sparse, bytesMax: limits.artifactBytesMax }))).toBe("TOO_LARGE");
  });

  test("a commit that names what was never taken in is refused as a whole", async () => {
    const store = await open();
    const trace = await openTrace(store);
    const before = await store.lastSeq();
    const file = { sha256: "1".repeat(64), size: 1, contentType };
    expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { blobFiles: [file] })]))).toBe("STORE_UNAVAILABLE");
    expect([await store.lastSeq(), await store.openBlob(file.sha256)]).toEqual([before, null]);
  });
}
