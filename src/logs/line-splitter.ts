// Splits text that comes in pieces into lines. A line beyond the bound comes in pieces too.
import { isObject, type Json, limits } from "../base/index.ts";
import { cutMark } from "./cut-mark.ts";
import type { LogLevel } from "../storage/index.ts";

const encoder = new TextEncoder();
/** Where pieces are measured; what is in it is of no use to anyone. */
const room = new Uint8Array(limits.logLineBytesMax - Buffer.byteLength(cutMark));

/** Calls `onLine` for every complete line of the text, and for the rest at `end`; `isCut`: the line goes on in the next piece. */
export class LineSplitter {
  readonly #onLine: (line: string, isCut: boolean) => void;
  #rest = "";

  constructor(onLine: (line: string, isCut: boolean) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    if (text !== "") this.#split(this.#rest + text);
  }

  end(): void {
    if (this.#rest !== "") this.#give(this.#rest);
    this.#rest = "";
  }

  #split(text: string): void {
    let from = 0;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", from)) {
      this.#give(text.slice(from, at));
      from = at + 1;
    }
    let rest = text.slice(from);
    // More units than the bound has bytes: a first piece is certain, whatever follows, and memory stays bounded.
    while (rest.length > limits.logLineBytesMax) rest = this.#givePiece(rest);
    this.#rest = rest;
  }

  #give(line: string): void {
    let rest = line.endsWith("\r") ? line.slice(0, -1) : line;
    while (isTooLong(rest)) rest = this.#givePiece(rest);
    this.#onLine(rest, false);
  }

  /** The longest start that fits with a mark behind it, never half a character; returns what is left. */
  #givePiece(text: string): string {
    const { read } = encoder.encodeInto(text, room);
    this.#onLine(text.slice(0, read), true);
    return text.slice(read);
  }
}

function isTooLong(text: string): boolean {
  // A UTF-16 unit takes three bytes at most: only a line that may be too long is measured.
  return text.length * 3 > limits.logLineBytesMax && Buffer.byteLength(text) > limits.logLineBytesMax;
}

const levels: Record<string, LogLevel> = {
  DEBUG: "DEBUG",
  TRACE: "DEBUG",
  INFO: "INFO",
  NOTICE: "INFO",
  WARN: "WARN",
  WARNING: "WARN",
  ERROR: "ERROR",
  ERR: "ERROR",
  FATAL: "ERROR",
  CRITICAL: "ERROR",
};

/** A line that is JSON with `level` and `message` is taken as such; its other members are metadata. Any other line is text of the given level. */
export function parseLine(line: string, level: LogLevel): { level: LogLevel; message: string; metadata: Json | null } {
  const plain = { level, message: line, metadata: null };
  if (!line.startsWith("{") || !line.endsWith("}")) return plain;
  try {
    const parsed: unknown = JSON.parse(line);
    if (!isObject(parsed) || typeof parsed["message"] !== "string" || typeof parsed["level"] !== "string") return plain;
    const known = levels[parsed["level"].toUpperCase()];
    if (known === undefined) return plain;
    const { level: _level, message, ...rest } = parsed;
    return { level: known, message: String(message), metadata: Object.keys(rest).length === 0 ? null : (rest as Json) };
  } catch {
    return plain;
  }
}
