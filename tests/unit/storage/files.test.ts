// What the store leaves on the disk: modes, blob files, and what a sweep takes away.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { limits, sha256Hex } from "../../../src/base/index.ts";
import type { Blob } from "../../../src/storage/index.ts";
import { draftOf, openTrace, outcomeOf, requestOf } from "../../contract/requests.ts";
import { temporaryStores } from "./temporary.ts";

const { open, path } = temporaryStores();
const hourMs = 3_600_000;

function largeBlob(fill: number): Blob {
  const bytes = new Uint8Array(limits.blobRowBytesMax + 1).fill(fill);
  return { sha256: sha256Hex(bytes), bytes, contentType: "text/plain" };
}

describe("files", () => {
  test("are for their owner only", async () => {
    const at = path();
    const store = open(at);
    await openTrace(store);
    for (const name of ["", "-wal", "-shm"]) expect(statSync(`${at}${name}`).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(at)).mode & 0o777).toBe(0o700);
    const blob = largeBlob(1);
    await store.writeBlobFile(blob);
    const folder = join(dirname(at), "blobs", blob.sha256.slice(0, 2));
    expect(readdirSync(folder)).toEqual([blob.sha256]);
    expect(statSync(join(folder, blob.sha256)).mode & 0o777).toBe(0o600);
  });

  test("a closed store is one file", async () => {
    const at = path();
    const store = open(at);
    await openTrace(store);
    await store.close();
    expect(readdirSync(dirname(at))).toEqual(["store.db"]);
  });

  test("a sweep takes old files that no event names, and leftovers, and no others", async () => {
    const at = path();
    const store = open(at);
    const [named, fresh, orphan] = [largeBlob(1), largeBlob(2), largeBlob(3)];
    const trace = await openTrace(store);
    for (const blob of [named, fresh, orphan]) await store.writeBlobFile(blob);
    expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { blobs: [named] })]))).toBe("ok");
    const fileOf = (blob: Blob) => join(dirname(at), "blobs", blob.sha256.slice(0, 2), blob.sha256);
    const part = `${fileOf(named)}.1.part`;
    writeFileSync(part, "half");
    const now = statSync(fileOf(fresh)).mtimeMs;
    const old = (now - 2 * hourMs) / 1000;
    for (const file of [fileOf(named), fileOf(orphan), part]) utimesSync(file, old, old);
    expect(await store.sweepBlobs(now)).toBe(2);
    expect([fileOf(named), fileOf(fresh), fileOf(orphan), part].map((file) => existsSync(file))).toEqual([true, true, false, false]);
    expect((await store.findBlob(named.sha256))?.bytes.byteLength).toBe(named.bytes.byteLength);
  });

  test("a file about to be named again is young again, so that no sweep takes it", async () => {
    const store = open();
    const blob = largeBlob(4);
    await store.writeBlobFile(blob);
    const file = join(dirname(store.path), "blobs", blob.sha256.slice(0, 2), blob.sha256);
    const now = statSync(file).mtimeMs;
    utimesSync(file, (now - 2 * hourMs) / 1000, (now - 2 * hourMs) / 1000);
    await store.writeBlobFile(blob);
    expect(await store.sweepBlobs(now)).toBe(0);
    expect(existsSync(file)).toBe(true);
  });

  test("what was taken in and never named goes with an old sweep only; copies that were cut off go too", async () => {
    const at = path();
    const store = open(at);
    const source = join(dirname(at), "source");
    writeFileSync(source, "taken in");
    const { sha256 } = await store.importBlob({ path: source, bytesMax: 100 });
    const file = join(dirname(at), "blobs", sha256.slice(0, 2), sha256);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const parts = join(dirname(at), "blobs", "part");
    expect(readdirSync(parts)).toEqual([]);
    const part = join(parts, "half");
    writeFileSync(part, "half");
    const now = statSync(part).mtimeMs;
    expect(await store.sweepBlobs(now + hourMs - 1000)).toBe(0);
    expect(await store.sweepBlobs(now + hourMs + 1000)).toBe(2);
    expect([existsSync(file), existsSync(part), await store.openBlob(sha256)]).toEqual([false, false, null]);
  });

  test("a store in memory leaves nothing", async () => {
    const store = open(":memory:");
    const blob = largeBlob(5);
    const trace = await openTrace(store);
    await store.writeBlobFile(blob);
    await store.commit([requestOf([draftOf(trace)], { blobs: [blob] })]);
    expect(sha256Hex((await store.findBlob(blob.sha256))?.bytes ?? "")).toBe(blob.sha256);
    expect(existsSync("blobs")).toBe(false);
    expect(existsSync(":memory:")).toBe(false);
    expect(await store.sweepBlobs(Number.MAX_SAFE_INTEGER)).toBe(0);
  });
});
