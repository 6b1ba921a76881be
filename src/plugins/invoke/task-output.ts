// What a task prints: lines into the log up to a bound, and the last of both streams for its output and its error. Here secrets are
// masked: before lines are split and before anything is cut, since a cut through a value leaves a part that nobody knows again.
import { limits } from "../../base/index.ts";
import { cutMark, LineSplitter, parseLine } from "../../logs/index.ts";
import { isTurnOver, mask, type Masker, type MaskStream, nextTurn } from "../../secrets/index.ts";
import type { ActionCall, Line } from "./ports.ts";

/** What an error shows of stderr: its last lines, and of those the last part. */
const stderrLinesMax = 20;
const stderrUnitsMax = 4096;
/** Kept of stderr for when its lines are not followed any more: the longest of these, in characters of any kind, with values that masks shorten. */
const stderrBytesMax = 16 * 1024;

type OnLine = ActionCall["onLine"];
type Source = "stdout" | "stderr";
type Taken = Promise<void> | void;

export type TaskOutputOptions = { outputBytes: number; masker: Masker };

/** Takes both streams of one attempt. Beyond `outputBytes` lines are read and dropped, after one that says so. */
export class TaskOutput {
  readonly #onLine: OnLine;
  readonly #bytesMax: number;
  readonly #masker: Masker;
  readonly #stdout: TailText;
  readonly #stderr: TailText;
  readonly #lines: Record<Source, MaskedLines>;
  readonly #lastErrors: string[] = [];
  #bytes = 0;

  constructor(onLine: OnLine, { outputBytes, masker }: TaskOutputOptions) {
    this.#onLine = onLine;
    this.#bytesMax = outputBytes;
    this.#masker = masker;
    this.#stdout = new TailText(limits.stdoutOutputBytesMax, masker);
    this.#stderr = new TailText(stderrBytesMax, masker);
    this.#lines = {
      stdout: new MaskedLines(masker, (line, isCut) => this.#log("stdout", line, isCut)),
      stderr: new MaskedLines(masker, (line, isCut) => this.#takeError(line, isCut)),
    };
  }

  /** Reads to the end. */
  async read(stdout: AsyncIterable<Uint8Array>, stderr: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#masker.ready();
    await Promise.all([readText(stdout, (text) => this.take("stdout", text)), readText(stderr, (text) => this.take("stderr", text))]);
    this.end("stdout");
    this.end("stderr");
  }

  /** The next piece of a stream; a promise asks to wait with the one after it. */
  take(source: Source, text: string): Taken {
    (source === "stdout" ? this.#stdout : this.#stderr).add(text);
    // What nobody sees needs no masks.
    return this.#isFull ? undefined : this.#lines[source].push(text);
  }

  /** What comes after this has nothing to do with what came before: what was held back is a value that was cut off, or none. */
  end(source: Source): Taken {
    return this.#isFull ? undefined : this.#lines[source].end();
  }

  get #isFull(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** The last 64 KiB, trimmed, as they were printed: nothing is masked, and the cut goes through no value. */
  stdout(): string {
    return this.#stdout.text();
  }

  /** The last lines, masked. */
  stderr(): string {
    const lines = this.#isFull ? this.#masker.text(this.#stderr.text()).split("\n").slice(-stderrLinesMax) : this.#lastErrors;
    return lines.join("\n").slice(-stderrUnitsMax);
  }

  #takeError(line: string, isCut: boolean): Taken {
    this.#lastErrors.push(line.slice(-stderrUnitsMax));
    if (this.#lastErrors.length > stderrLinesMax) this.#lastErrors.shift();
    return this.#log("stderr", line, isCut);
  }

  #log(source: Source, line: string, isCut: boolean): Taken {
    if (this.#isFull) return;
    // A UTF-16 unit counts as a byte at least; empty lines count too.
    this.#bytes += line.length + 1;
    if (this.#bytes <= this.#bytesMax) return this.#onLine({ source, ...this.#parse(isCut ? `${line}${cutMark}` : line, levelOf[source]) });
    const message = `The output passed ${this.#bytesMax} bytes: the rest is left out`;
    return this.#onLine({ source: "engine", level: "WARN", message, metadata: { limit: "outputBytes", outputBytes: this.#bytesMax } });
  }

  /** Of a JSON line members are masked once more: there a value may have been written with escapes that nobody uses. */
  #parse(line: string, level: Line["level"]): Omit<Line, "source"> {
    const found = parseLine(line, level);
    if (this.#masker.isEmpty || !line.startsWith("{")) return found;
    const parsed = isPlain(found, line) ? parseQuoted(line, level) : found;
    if (parsed === null) return found;
    const { message, metadata } = parsed;
    return { level: parsed.level, message: this.#masker.text(message), metadata: metadata === null ? null : this.#masker.json(metadata) };
  }
}

const levelOf = { stdout: "INFO", stderr: "ERROR" } as const;

type Parsed = ReturnType<typeof parseLine>;

function isPlain({ message, metadata }: Parsed, line: string): boolean {
  return metadata === null && message === line;
}

/** What is left of a number or a boolean with a value in it: no JSON, until it stands in quotes. */
const bareMask = /([:,[]\s{0,9})[-+.\w*]{0,64}\*\*\*[-+.\w*]{0,64}(?=\s{0,9}[,\]}])/g;

/** A JSON line of which masking made something else; null for one that was none. */
function parseQuoted(line: string, level: Line["level"]): Parsed | null {
  if (!line.includes(mask)) return null;
  const quoted = line.replaceAll(bareMask, `$1"${mask}"`);
  const parsed = parseLine(quoted, level);
  return isPlain(parsed, quoted) ? null : parsed;
}

/** Text of one stream as masked lines: a value is found also where it goes over the borders of chunks, pieces and lines. */
class MaskedLines {
  readonly #masker: Masker;
  readonly #splitter: LineSplitter;
  #stream: MaskStream | null = null;
  #busy: Taken = undefined;

  constructor(masker: Masker, onLine: (line: string, isCut: boolean) => Taken) {
    this.#masker = masker;
    this.#splitter = new LineSplitter((line, isCut) => {
      this.#busy = onLine(line, isCut) ?? this.#busy;
    });
  }

  push(text: string): Taken {
    this.#stream ??= this.#masker.stream();
    this.#splitter.push(this.#stream.push(text));
    return this.#takeBusy();
  }

  end(): Taken {
    if (this.#stream !== null) this.#splitter.push(this.#stream.end());
    this.#stream = null;
    this.#splitter.end();
    return this.#takeBusy();
  }

  #takeBusy(): Taken {
    const busy = this.#busy;
    this.#busy = undefined;
    return busy;
  }
}

/** Bytes as text; what is not UTF-8 becomes U+FFFD. Reads no further than what was read is taken: a task that floods its output
 * waits, memory stays bounded, and others have their turns. */
export async function readText(chunks: AsyncIterable<Uint8Array>, onText: (text: string) => Taken): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
  for await (const chunk of chunks) {
    if (isTurnOver()) await nextTurn();
    await onText(decoder.decode(chunk, { stream: true }));
  }
  await onText(decoder.decode());
}

/** How much more than the bound is kept while a stream goes on: the longest of a value's forms fits, so that no cut falls into one
 * whose end has not come yet. */
const keptTimes = 8;

/** The last part of a text that comes in pieces. */
class TailText {
  readonly #bytesMax: number;
  readonly #masker: Masker;
  #text = "";

  constructor(bytesMax: number, masker: Masker) {
    this.#bytesMax = bytesMax;
    this.#masker = masker;
  }

  add(piece: string): void {
    this.#text += piece;
    const kept = this.#bytesMax * (this.#masker.isEmpty ? 2 : keptTimes);
    // Cut rarely: twice of what is kept is there in between.
    if (this.#text.length > kept * 2) this.#text = this.#masker.isEmpty ? this.#text.slice(-kept) : this.#masker.tail(this.#text, kept);
  }

  text(): string {
    const trimmed = this.#text.replaceAll("\r\n", "\n").trim();
    if (Buffer.byteLength(trimmed) <= this.#bytesMax) return trimmed;
    return this.#masker.tail(trimmed, this.#bytesMax).trim();
  }
}
