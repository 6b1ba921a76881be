// The form in which the engine sends two streams over one connection: eight bytes of head (stream, three zeroes, length
// as big-endian number), then the bytes. Pieces arrive cut anywhere.

const headBytes = 8;
/** Engines write what they read at once, some tens of KiB; much more is no frame. */
const frameBytesMax = 64 * 1024 * 1024;

export class FrameReader {
  readonly #onChunk: (stream: number, chunk: Uint8Array) => void;
  readonly #head = Buffer.alloc(headBytes);
  #headAt = 0;
  #stream = 0;
  #left = 0;

  constructor(onChunk: (stream: number, chunk: Uint8Array) => void) {
    this.#onChunk = onChunk;
  }

  /** False when the bytes cannot be frames. */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#left > 0) {
        const chunk = bytes.subarray(at, at + this.#left);
        this.#left -= chunk.byteLength;
        at += chunk.byteLength;
        this.#onChunk(this.#stream, chunk);
        continue;
      }
      this.#head[this.#headAt++] = bytes[at++] ?? 0;
      if (this.#headAt < headBytes) continue;
      this.#headAt = 0;
      this.#stream = this.#head[0] ?? 0;
      this.#left = this.#head.readUInt32BE(4);
      if (this.#stream > 2 || this.#left > frameBytesMax) return false;
    }
    return true;
  }
}
