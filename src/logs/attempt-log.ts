// The log of one attempt: lines are bounded, levelled and counted as they come; its digest goes into the attempt's event.
import { type Json, limits, startSha256 } from "../base/index.ts";
import type { LogLevel, LogLine, LogSource } from "../storage/index.ts";
import { cutMark } from "./cut-mark.ts";

export type AttemptPlace = { executionId: string; task: string; itemIndex: number | null; attempt: number };
export type NewLine = { source: LogSource; level: LogLevel; message: string; metadata: Json | null; time: number };

/** What a line counts at least: an empty one takes a row all the same. */
const lineBytesMin = 64;

export class AttemptLog {
  readonly #place: AttemptPlace;
  readonly #sha256 = startSha256();
  #pending: LogLine[] = [];
  #bytes = 0;
  #lines = 0;
  #isFull = false;

  constructor(place: AttemptPlace) {
    this.#place = place;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Takes a line; after the attempt's bound one last line says that the rest is left out. */
  add(line: NewLine): void {
    if (this.#isFull) return;
    const message = boundLine(line.message);
    const metadata = line.metadata === null ? null : JSON.stringify(line.metadata);
    this.#bytes += Math.max(lineBytesMin, Buffer.byteLength(message) + (metadata?.length ?? 0) + 1);
    if (this.#bytes <= limits.logAttemptBytesMax) return this.#push({ ...line, message, metadata });
    this.#isFull = true;
    const notice = `The log passed ${limits.logAttemptBytesMax} bytes: the rest is left out`;
    this.#push({ ...line, source: "engine", level: "WARN", metadata: null, message: notice });
  }

  /** Lines that were not taken yet. */
  take(): LogLine[] {
    const lines = this.#pending;
    this.#pending = [];
    return lines;
  }

  /** SHA-256 over all messages, each with a newline, and how many there were. */
  end(): { sha256: string; lines: number } {
    return { sha256: this.#sha256.hex(), lines: this.#lines };
  }

  #push(line: Omit<NewLine, "metadata"> & { metadata: string | null }): void {
    this.#sha256.update(`${line.message}\n`);
    this.#lines += 1;
    const { executionId, task, itemIndex, attempt } = this.#place;
    this.#pending.push({
      executionId,
      task,
      itemIndex,
      attempt,
      time: line.time,
      level: line.level,
      source: line.source,
      message: line.message,
      metadata: line.metadata,
    });
  }
}

/** A line as it may be stored: well-formed, and cut with a mark beyond its bound. */
export function boundLine(message: string): string {
  const whole = message.isWellFormed() ? message : message.toWellFormed();
  // A UTF-16 unit takes three bytes at most: only a line that may be too long is measured.
  if (whole.length * 3 <= limits.logLineBytesMax) return whole;
  const bytes = new TextEncoder().encode(whole);
  if (bytes.byteLength <= limits.logLineBytesMax) return whole;
  return new TextDecoder().decode(bytes.subarray(0, limits.logLineBytesMax - 16)).replace(/�+$/, "") + cutMark;
}
