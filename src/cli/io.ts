// The CLI's hold on the process: streams, terminal, signals. Tests pass another one.
import { fstatSync, readFileSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { fail } from "../base/index.ts";
import { environment } from "../config/index.ts";
import type { TypedLine } from "./typed-line.ts";

export type SignalName = "SIGINT" | "SIGTERM";

export type CliIo = {
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  stdout(text: string | Uint8Array): void;
  stderr(text: string): void;
  stdinIsTty: boolean;
  stdoutIsTty: boolean;
  stderrIsTty: boolean;
  /** Width of the terminal, null when there is none. */
  columns(): number | null;
  rows(): number | null;
  /** Milliseconds since the epoch. */
  now(): number;
  readStdin(): Uint8Array;
  /** What comes in, up to so many bytes: the rest stays unread. */
  readStdinUpTo(bytesMax: number): Uint8Array;
  /** What a person types at the terminal up to the end of the line, unseen unless `shown`; or the signal that ended it. */
  readLine(prompt: string, shown: boolean): Promise<TypedLine>;
  /** Calls the handler for every signal until the returned function is called. */
  onSignal(handler: (signal: SignalName) => void): () => void;
};

/** Thrown by a write when the reader has gone (`workflow … | head`). */
export const brokenPipe = Symbol("broken pipe");

// Written at once: what was printed is out whatever ends the process next. A full pipe that does not block is waited for.
function writeAll(fd: number, text: string | Uint8Array): void {
  let rest = typeof text === "string" ? Buffer.from(text, "utf8") : Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (thrown) {
      const code = (thrown as { code?: string }).code;
      if (code === "EPIPE") throw brokenPipe;
      if (code !== "EAGAIN") throw thrown;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
}

function writeNote(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // Nobody can read the notes: no reason to stop the work, and nowhere to say so.
  }
}

function readStdinUpTo(bytesMax: number): Uint8Array {
  const bytes = Buffer.alloc(bytesMax);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let length = 0;
  while (length < bytesMax) {
    try {
      const count = readSync(0, bytes, length, bytesMax - length, null);
      if (count === 0) break;
      length += count;
    } catch (thrown) {
      const code = (thrown as { code?: string }).code;
      if (code === "EOF") break;
      if (code !== "EAGAIN") throw fail("FILE_NOT_FOUND", `Cannot read stdin: ${code ?? String(thrown)}`, { cause: thrown });
      Atomics.wait(pause, 0, 0, 2);
    }
  }
  return bytes.subarray(0, length);
}

// An answer that is lost is a failure of the command, whatever it did before.
function printAnswer(text: string | Uint8Array): void {
  try {
    writeAll(1, text);
  } catch (cause) {
    if (cause === brokenPipe) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw fail("FILE_NOT_FOUND", `Cannot write the answer to stdout: ${why}`, {
      hint: "What the command did is done; only its answer is lost.",
      cause,
    });
  }
}

/** Whether a descriptor is a terminal. The module that knows loads all of Node's streams, so it is asked about devices only. */
function isatty(fd: number): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  const tty = createRequire(import.meta.url)("node:tty") as typeof import("node:tty");
  return tty.isatty(fd);
}

/** The real process. */
export function processIo(): CliIo {
  return {
    cwd: process.cwd(),
    env: environment(),
    stdout: printAnswer,
    stderr: writeNote,
    stdinIsTty: isatty(0),
    stdoutIsTty: isatty(1),
    stderrIsTty: isatty(2),
    columns: () => (isatty(2) ? process.stderr.columns : isatty(1) ? process.stdout.columns : null) || null,
    rows: () => (isatty(2) ? process.stderr.rows : null) || null,
    now: () => Date.now(),
    readStdin: () => readFileSync(0),
    readStdinUpTo,
    readLine: async (prompt, shown) => (await import("./typed-line.ts")).readTypedLine({ write: writeNote, prompt, shown }),
    onSignal(handler) {
      const onInt = () => handler("SIGINT");
      const onTerm = () => handler("SIGTERM");
      process.on("SIGINT", onInt);
      process.on("SIGTERM", onTerm);
      return () => {
        process.off("SIGINT", onInt);
        process.off("SIGTERM", onTerm);
      };
    },
  };
}
