// The file of a backup: tar in gzip, and after it an empty gzip member whose extra field is the digest of every byte before it. Tools
// unpack it as they do any .tar.gz; a bit that flipped anywhere, padding and headers included, is found before anything is unpacked.
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { startSha256 } from "../../base/index.ts";
import { notWhole } from "./manifest.ts";

const pieceBytes = 1024 * 1024;
/** Header with an extra field (RFC 1952) of one subfield "AK", 32 bytes long; then an empty block, its checksum and its length. */
const sealHead = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 36, 0, 0x41, 0x4b, 32, 0]);
const sealTail = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const sealBytes = sealHead.byteLength + 32 + sealTail.byteLength;

function sealOf(digest: string): Buffer {
  return Buffer.concat([sealHead, Buffer.from(digest, "hex"), sealTail]);
}

export type ArchiveEntry = { path: string; size: number; executable: boolean; pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array> };

/** Writes a new file, for its owner only, from entries in order; synced when it returns. What goes wrong leaves the part that was written. */
export async function writeArchive(
  file: string,
  entries: AsyncIterable<ArchiveEntry>,
  createdAt: number,
): Promise<{ bytes: number; sha256: string }> {
  const target = openSync(file, "wx", 0o600);
  try {
    const [body, whole] = [startSha256(), startSha256()];
    let bytes = 0;
    const write = (piece: Uint8Array): void => {
      for (let at = 0; at < piece.byteLength; ) at += writeSync(target, piece, at);
      whole.update(piece);
      bytes += piece.byteLength;
    };
    const sink = new Writable({
      highWaterMark: pieceBytes,
      write: (piece: Uint8Array, _encoding, done) => {
        try {
          write(piece);
          body.update(piece);
          done();
        } catch (cause) {
          done(cause as Error);
        }
      },
    });
    await packEntries(entries, sink, createdAt);
    write(sealOf(body.hex()));
    fsyncSync(target);
    return { bytes, sha256: whole.hex() };
  } finally {
    closeSync(target);
  }
}

async function packEntries(entries: AsyncIterable<ArchiveEntry>, sink: Writable, createdAt: number): Promise<void> {
  // Loaded here: it takes some ten milliseconds, and few starts make or read a backup.
  const { pack: createPack } = require("tar-stream") as typeof import("tar-stream");
  const pack = createPack();
  // The fastest level: blobs are often packed already, and a database gives most of its air at once.
  const written = pipeline(pack, createGzip({ level: 1 }), sink);
  const wait = waiterOn(written);
  try {
    for await (const { path, size, executable, pieces } of entries) {
      const header = { name: path, size, mode: executable ? 0o755 : 0o600, mtime: new Date(createdAt), type: "file" as const };
      const ended = Promise.withResolvers<void>();
      ended.promise.catch(() => undefined);
      const entry: NodeJS.WritableStream = pack.entry(header, (error) => (error ? ended.reject(error) : ended.resolve()));
      // Told by the pipeline, which it ends.
      entry.on("error", () => undefined);
      for await (const piece of pieces) if (!entry.write(Buffer.from(piece))) await wait((go) => entry.once("drain", go));
      entry.end();
      await wait((go, stop) => void ended.promise.then(go, stop));
    }
    pack.finalize();
    await written;
  } catch (cause) {
    pack.destroy();
    await written.catch(() => undefined);
    throw cause;
  }
}

type Wait = (start: (go: () => void, stop: (cause: unknown) => void) => void) => Promise<void>;

/** Waits for one thing after the other, and no longer than the pipeline lives: a disk that is full ends it while an entry waits to be taken. */
function waiterOn(pipeline: Promise<void>): Wait {
  let ended: { cause: unknown } | null = null;
  let stopWaiting: (cause: unknown) => void = () => undefined;
  pipeline.catch((cause: unknown) => {
    ended = { cause };
    stopWaiting(cause);
  });
  return (start) =>
    new Promise((resolve, reject) => {
      if (ended !== null) return reject(ended.cause);
      stopWaiting = reject;
      start(resolve, reject);
    });
}

export type Sealed = { bytes: number; sha256: string /** Of the archive proper, from the start. */; bodyBytes: number };

/** Whether it is a plain file that ends as backups do; its bytes are not held against the digest. False for what cannot be opened. */
export function isSealed(file: string): boolean {
  let handle: number;
  try {
    handle = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const found = fstatSync(handle);
    if (!found.isFile() || found.size <= sealBytes) return false;
    const seal = Buffer.alloc(sealBytes);
    return readSync(handle, seal, 0, sealBytes, found.size - sealBytes) === sealBytes && hasSealForm(seal);
  } finally {
    closeSync(handle);
  }
}

function hasSealForm(seal: Buffer): boolean {
  return seal.equals(sealOf(seal.subarray(sealHead.byteLength, sealHead.byteLength + 32).toString("hex")));
}

/** Holds every byte of the file against its seal. @throws PAYLOAD_DIGEST_MISMATCH */
export async function checkSeal(source: FileHandle, file: string, onBytes: (done: number, total: number) => void): Promise<Sealed> {
  const { size } = await source.stat();
  const bodyBytes = size - sealBytes;
  const foreign = "it is no backup, or its end is missing";
  if (bodyBytes <= 0) throw notWhole(file, foreign);
  const seal = Buffer.alloc(sealBytes);
  await source.read(seal, 0, sealBytes, bodyBytes);
  if (!hasSealForm(seal)) throw notWhole(file, foreign);
  const [body, whole] = [startSha256(), startSha256()];
  const buffer = Buffer.alloc(pieceBytes);
  for (let at = 0; at < bodyBytes; ) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.byteLength, bodyBytes - at), at);
    if (bytesRead === 0) throw notWhole(file, "it became shorter while it was read");
    body.update(buffer.subarray(0, bytesRead));
    whole.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    onBytes(at, bodyBytes);
  }
  if (!seal.equals(sealOf(body.hex()))) throw notWhole(file, "its bytes do not have the digest at its end");
  whole.update(seal);
  return { bytes: size, sha256: whole.hex(), bodyBytes };
}
