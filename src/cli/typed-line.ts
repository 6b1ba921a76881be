// One line typed at the terminal, unseen where it is a secret. The terminal is given back as it was, however the line ends.
import type { ReadStream } from "node:tty";
import { fail } from "../base/index.ts";
import type { SignalName } from "./io.ts";

export type TypedLine = { text: string; signal: null } | { text: null; signal: SignalName };

export type Question = {
  write: (text: string) => void;
  prompt: string;
  /** Seen while it is typed. */
  shown: boolean;
};

const signals = ["SIGINT", "SIGTERM"] as const;

/** Stdin is a terminal. @throws USAGE when what was pasted has several lines, or what was typed is no text */
export async function readTypedLine({ write, prompt, shown }: Question): Promise<TypedLine> {
  const terminal = process.stdin as ReadStream;
  const line = new LineBuffer();
  const { promise, resolve, reject } = Promise.withResolvers<TypedLine>();
  const onData = (bytes: Buffer): void => {
    try {
      const ended = line.push(bytes);
      if (ended !== null) resolve(ended);
    } catch (thrown) {
      reject(thrown);
    }
  };
  const onEnd = (): void => resolve({ text: line.text(), signal: null });
  const onSignal = (signal: SignalName): void => resolve({ text: null, signal });
  for (const signal of signals) process.once(signal, onSignal);
  // Raw before the prompt is there: what is typed at once is not seen either.
  if (!shown) terminal.setRawMode(true);
  write(prompt);
  terminal.on("data", onData);
  terminal.once("end", onEnd);
  terminal.resume();
  try {
    return await promise;
  } finally {
    terminal.off("data", onData);
    terminal.off("end", onEnd);
    if (!shown) terminal.setRawMode(false);
    terminal.pause();
    for (const signal of signals) process.off(signal, onSignal);
    if (!shown || line.isOpen) write("\n");
  }
}

const key = { interrupt: 0x03, end: 0x04, backspace: 0x08, tab: 0x09, newline: 0x0a, enter: 0x0d, erase: 0x15, space: 0x20, delete: 0x7f } as const;

/** What was typed so far, with the editing that the terminal does not do in raw mode. */
class LineBuffer {
  #bytes: number[] = [];
  /** Nothing has ended the line yet. */
  isOpen = true;

  /** Null while the line goes on. @throws USAGE */
  push(bytes: Uint8Array): TypedLine | null {
    for (const [index, byte] of bytes.entries()) {
      if (byte === key.interrupt) return { text: null, signal: "SIGINT" };
      if (byte === key.newline || byte === key.enter) {
        // Nothing after it may get to the shell as commands unseen: it is refused while all of it is ours.
        this.isOpen = false;
        if (index < bytes.length - 1) throw refuse("it has several lines");
        return { text: this.text(), signal: null };
      }
      if (byte === key.end) return { text: this.text(), signal: null };
      if (byte === key.backspace || byte === key.delete) this.#removeLast();
      else if (byte === key.erase) this.#bytes = [];
      else if (byte < key.space && byte !== key.tab) throw refuse("it holds a key that is no text");
      else this.#bytes.push(byte);
    }
    return null;
  }

  /** @throws USAGE */
  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(this.#bytes));
    } catch {
      throw refuse("it is not UTF-8");
    }
  }

  // A character is its first byte and those of the form 10xxxxxx after it.
  #removeLast(): void {
    let byte = this.#bytes.pop();
    while (byte !== undefined && (byte & 0xc0) === 0x80) byte = this.#bytes.pop();
  }
}

function refuse(why: string): Error {
  return fail("USAGE", `Cannot take what was typed: ${why}`, { hint: "Give it through a pipe: workflow secrets set NAME < FILE" });
}
