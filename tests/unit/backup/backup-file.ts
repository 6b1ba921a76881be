// Files of backups made by hand, so that what no backup holds can be put into one.
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack as createPack, type Header } from "tar-stream";
import { sha256Hex } from "../../../src/base/index.ts";

export type Entry = { header: Partial<Header> & { name: string }; body?: string | Buffer };

/** A folder that is gone after the tests of a file. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "backup-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const database = "not looked at by those who unpack";

export type ManifestFile = { path: string; size: number; sha256: string; executable?: true };
export const fileOf = (path: string, body: string): ManifestFile => ({ path, size: Buffer.byteLength(body), sha256: sha256Hex(body) });
export const entryOf = (path: string, body: string | Buffer): Entry => ({ header: { name: path }, body });

/** A manifest of the database and of what is given. */
export function manifestOf(files: readonly ManifestFile[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    format: "autokestra-backup",
    version: 1,
    created_at: "2026-01-02T03:04:05.678Z",
    product_version: "0.1.0",
    schema: 3,
    system_trace_id: "00000000-0000-7000-8000-000000000000",
    head: { last_seq: 0, last_hash: null },
    counts: { events: 0, executions: 0, blobs: 0 },
    key_id: null,
    files: [fileOf("autokestra.db", database), ...files],
    links: [],
    ...more,
  };
}

/** The digest of all before it, in the extra field of an empty gzip member. */
export function sealed(body: Uint8Array): Buffer {
  const head = Buffer.from("1f8b08040000000000ff2400414b2000", "hex");
  return Buffer.concat([body, head, Buffer.from(sha256Hex(body), "hex"), Buffer.from("03000000000000000000", "hex")]);
}

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const pack = createPack();
  for (const { header, body } of entries) pack.entry(header, body ?? "");
  pack.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of pack) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

/** Writes manifest, database and the given entries as a sealed file. */
export async function writeBackup(file: string, manifest: Record<string, unknown> | string, entries: readonly Entry[]): Promise<void> {
  const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  const tar = await tarOf([entryOf("manifest.json", text), entryOf("autokestra.db", database), ...entries]);
  writeFileSync(file, sealed(gzipSync(tar)));
}
