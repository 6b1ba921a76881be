// process.stdout and process.stderr of a plugin, writing at once. Bun's own write to a pipe when they come to it: what is more than the pipe
// takes would mix with what is written beside it, and be lost at the end. Made when a plugin first touches them: that costs 13 ms.
import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { writeFully } from "./channel.ts";

type WritableClass = new (options: object) => Writable;

const names = [
  [1, "stdout"],
  [2, "stderr"],
] as const;

let isTouched = false;

/** Ends when what a write calls back has run: it may write more, and that belongs to the call too. */
export async function settleStreams(): Promise<void> {
  if (isTouched) await new Promise<void>((done) => process.nextTick(done));
}

export function installStreams(): void {
  for (const [descriptor, name] of names) {
    let stream: Writable | null = null;
    const get = (): Writable => (stream ??= openStream(descriptor));
    const set = (given: Writable): void => {
      stream = given;
    };
    Object.defineProperty(process, name, { get, set, enumerable: true, configurable: true });
  }
}

/** As in Node: no plugin can close it. */
function openStream(descriptor: number): Writable {
  isTouched = true;
  const { Writable: Class } = createRequire(import.meta.url)("node:stream") as { Writable: WritableClass };
  const write = (chunk: Uint8Array, _encoding: string, done: (cause?: Error) => void): void => {
    writeFully(descriptor, chunk);
    done();
  };
  const stream = new Class({ decodeStrings: true, autoDestroy: false, emitClose: false, write });
  const end = (...given: unknown[]): Writable => {
    const [chunk] = given;
    if (typeof chunk === "string" || chunk instanceof Uint8Array) stream.write(chunk);
    const done = given.find((one) => typeof one === "function");
    if (done !== undefined) queueMicrotask(done as () => void);
    return stream;
  };
  return Object.assign(stream, {
    fd: descriptor,
    isTTY: false,
    end,
    destroySoon: end,
    destroy: () => stream,
    cork: () => undefined,
    uncork: () => undefined,
  });
}
