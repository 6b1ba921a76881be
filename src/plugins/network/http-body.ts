// Where the body of an HTTP/1 message ends: counts bytes that pass by, strictly, and changes none (RFC 9112, 6 and 7). Pure.

export type Framing = { kind: "none" } | { kind: "length"; bytes: number } | { kind: "chunked" } | { kind: "close" };

/** Longest line of a chunk's size with extensions, or of a trailer. */
const lineBytesMax = 4096;
const trailerBytesMax = 64 * 1024;
const cr = 13;
const lf = 10;
const chunkLine = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;[\t\x20-\x7e]*)?$/;
const trailerLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;

/** Measures one body. A body that breaks its framing is `isBroken`, and then nothing more belongs to it. */
export class BodyMeter {
  #kind: Framing["kind"];
  /** Of the body, or of the current chunk with its line end. */
  #left: number;
  #state: "line" | "data" | "trailer" = "line";
  #line = "";
  #trailerBytes = 0;
  isDone: boolean;
  isBroken = false;

  constructor(framing: Framing) {
    this.#kind = framing.kind;
    this.#left = framing.kind === "length" ? framing.bytes : 0;
    this.isDone = framing.kind === "none" || (framing.kind === "length" && framing.bytes === 0);
  }

  /** The part of the next bytes that belongs to the body. */
  take(chunk: Uint8Array): Uint8Array {
    if (this.isDone || this.isBroken) return chunk.subarray(0, 0);
    if (this.#kind === "close") return chunk;
    return chunk.subarray(0, this.#kind === "length" ? this.#takeLength(chunk.length) : this.#takeChunks(chunk));
  }

  #takeLength(available: number): number {
    const taken = Math.min(available, this.#left);
    this.#left -= taken;
    this.isDone = this.#left === 0;
    return taken;
  }

  #takeChunks(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.isDone && !this.isBroken) {
      if (this.#state === "data" && this.#left > 2) {
        const skipped = Math.min(bytes.length - at, this.#left - 2);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#takeByte(bytes[at] ?? 0);
      at += 1;
    }
    return at;
  }

  #takeByte(value: number): void {
    if (this.#state === "data") {
      this.isBroken = value !== (this.#left === 2 ? cr : lf);
      this.#left -= 1;
      if (this.#left === 0) this.#state = "line";
      return;
    }
    if (value !== lf) {
      // A carriage return may only be the last character of a line.
      this.isBroken = this.#line.endsWith("\r") || this.#line.length >= lineBytesMax;
      this.#line += String.fromCharCode(value);
      return;
    }
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r")) this.isBroken = true;
    else if (this.#state === "line") this.#startChunk(line.slice(0, -1));
    else this.#endTrailer(line.slice(0, -1));
  }

  #startChunk(line: string): void {
    const size = chunkLine.exec(line)?.[1];
    if (size === undefined) {
      this.isBroken = true;
      return;
    }
    const bytes = Number.parseInt(size, 16);
    this.#state = bytes === 0 ? "trailer" : "data";
    this.#left = bytes + 2;
  }

  #endTrailer(line: string): void {
    this.#trailerBytes += line.length;
    if (line === "") this.isDone = true;
    else this.isBroken = !trailerLine.test(line) || this.#trailerBytes > trailerBytesMax;
  }
}
