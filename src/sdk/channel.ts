// The descriptors of a call: lines in on 0, log lines out on 1, the result on 3 or in a file. Synchronous writes only: touching
// process.stdout would cost more than a small call as a whole.
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";

const resultDescriptor = 3;
const chunkBytes = 64 * 1024;
const newline = 10;

/** Reads lines of standard input one by one, as much as the line needs. */
export class LineInput {
  #rest: Buffer = Buffer.alloc(0);
  readonly #chunk = Buffer.alloc(chunkBytes);

  /** The next line, null at the end. */
  next(): string | null {
    const pieces: Buffer[] = [];
    let piece = this.#rest;
    for (;;) {
      const end = piece.indexOf(newline);
      if (end >= 0) {
        pieces.push(piece.subarray(0, end));
        this.#rest = piece.subarray(end + 1);
        return Buffer.concat(pieces).toString("utf8");
      }
      pieces.push(piece);
      piece = Buffer.from(this.#chunk.subarray(0, readSome(this.#chunk)));
      if (piece.length > 0) continue;
      this.#rest = piece;
      const last = Buffer.concat(pieces);
      return last.length === 0 ? null : last.toString("utf8");
    }
  }
}

function readSome(chunk: Buffer): number {
  try {
    return readSync(0, chunk, 0, chunk.length, null);
  } catch (cause) {
    if ((cause as { code?: string }).code === "EOF") return 0;
    throw cause;
  }
}

/** Writes all bytes, also where the descriptor was made non-blocking. */
export function writeFully(descriptor: number, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at, bytes.length - at);
    } catch (cause) {
      if ((cause as { code?: string }).code !== "EAGAIN") throw cause;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Where descriptor 3 is no pipe (containers inherit none), the result goes into $WORKFLOW_RESULT. Looked at before Bun opens anything. */
const hasResultPipe = isPipe(resultDescriptor);

function isPipe(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFIFO();
  } catch {
    return false;
  }
}

export function writeResult(line: string): void {
  if (hasResultPipe) return writeFully(resultDescriptor, line);
  const path = process.env["WORKFLOW_RESULT"];
  if (path === undefined) throw new Error("there is neither descriptor 3 nor $WORKFLOW_RESULT for the result");
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
  const file = openSync(path, flags, 0o600);
  try {
    writeFully(file, line);
  } finally {
    closeSync(file);
  }
}
