// What a task prints: lines into the log up to a bound, and the last of both streams for its output and its error.
import { limits } from "../../base/index.ts";
import { cutMark, LineSplitter, parseLine } from "../../logs/index.ts";
import type { ActionCall } from "./ports.ts";

/** What an error shows of stderr: its last lines, and of those the last part. */
const stderrLinesMax = 20;
const stderrUnitsMax = 4096;

type OnLine = ActionCall["onLine"];

/** Takes both streams of one attempt. Beyond `outputBytes` lines are read and dropped, after one that says so. */
export class TaskOutput {
  readonly #onLine: OnLine;
  readonly #bytesMax: number;
  readonly #stdout = new TailText(limits.stdoutOutputBytesMax);
  readonly #lastErrors: string[] = [];
  #bytes = 0;

  constructor(onLine: OnLine, outputBytesMax: number) {
    this.#onLine = onLine;
    this.#bytesMax = outputBytesMax;
  }

  /** Reads to the end. */
  async read(stdout: AsyncIterable<Uint8Array>, stderr: AsyncIterable<Uint8Array>): Promise<void> {
    await Promise.all([
      readLines(stdout, (line, isCut) => this.takeOut(line, isCut)),
      readLines(stderr, (line, isCut) => this.takeError(line, isCut)),
    ]);
  }

  takeOut(line: string, isCut: boolean): Promise<void> | void {
    this.#stdout.add(isCut ? line : `${line}\n`);
    return this.#log("stdout", line, isCut);
  }

  takeError(line: string, isCut: boolean): Promise<void> | void {
    this.#lastErrors.push(line.slice(-stderrUnitsMax));
    if (this.#lastErrors.length > stderrLinesMax) this.#lastErrors.shift();
    return this.#log("stderr", line, isCut);
  }

  /** The last 64 KiB, trimmed. */
  stdout(): string {
    return this.#stdout.text();
  }

  /** The last lines. */
  stderr(): string {
    return this.#lastErrors.join("\n").slice(-stderrUnitsMax);
  }

  #log(source: "stdout" | "stderr", line: string, isCut: boolean): Promise<void> | void {
    if (this.#bytes > this.#bytesMax) return;
    // A UTF-16 unit counts as a byte at least; empty lines count too.
    this.#bytes += line.length + 1;
    if (this.#bytes <= this.#bytesMax) return this.#onLine({ source, ...parseLine(isCut ? `${line}${cutMark}` : line, levelOf[source]) });
    const message = `The output passed ${this.#bytesMax} bytes: the rest is left out`;
    return this.#onLine({ source: "engine", level: "WARN", message, metadata: { limit: "outputBytes", outputBytes: this.#bytesMax } });
  }
}

const levelOf = { stdout: "INFO", stderr: "ERROR" } as const;

/** Reads no further than what was read is taken: a task that floods its output waits, and memory stays bounded. */
export async function readLines(chunks: AsyncIterable<Uint8Array>, onLine: (line: string, isCut: boolean) => Promise<void> | void): Promise<void> {
  let taken: Promise<void> | null = null;
  const splitter = new LineSplitter((line, isCut) => {
    const busy = onLine(line, isCut);
    if (busy !== undefined) taken = busy;
  });
  for await (const chunk of chunks) {
    splitter.push(chunk);
    await taken;
  }
  splitter.end();
}

/** The last part of a text that comes in pieces. */
class TailText {
  readonly #bytesMax: number;
  #text = "";

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(piece: string): void {
    this.#text += piece;
    // Cut rarely: twice the bound is kept in between.
    if (this.#text.length > this.#bytesMax * 2) this.#text = this.#text.slice(-this.#bytesMax);
  }

  text(): string {
    const trimmed = this.#text.trim();
    const bytes = Buffer.from(trimmed);
    return bytes.byteLength <= this.#bytesMax
      ? trimmed
      : bytes
          .subarray(bytes.byteLength - this.#bytesMax)
          .toString("utf8")
          .replace(/^�+/, "")
          .trim();
  }
}
