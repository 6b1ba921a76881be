// A program run by an action: bounded output, both streams told line by line, ended with the action.
import { writeSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

export type ChildAsk = {
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  stdin: string | null;
  /** Bytes of each stream that are kept: the last ones. */
  keepBytes: number;
  signal: AbortSignal;
  /** Each whole line of a stream, without its end. */
  onLine: (stream: "stdout" | "stderr", line: string) => void;
};
export type ChildEnd = { exitCode: number | null; signal: string | null; stdout: string; stderr: string; isCut: boolean };

const lineUnitsMax = 64 * 1024;

/** Runs a program to its end. @throws what `Bun.spawn` throws when it cannot be started */
export async function runChild(ask: ChildAsk): Promise<ChildEnd> {
  const { argv, env, cwd, stdin } = ask;
  const child = Bun.spawn(argv, { env, cwd, stdin: stdin === null ? "ignore" : Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
  const stop = (): void => child.kill("SIGTERM");
  ask.signal.addEventListener("abort", stop, { once: true });
  try {
    const [out, err] = await Promise.all([read(child.stdout, "stdout", ask), read(child.stderr, "stderr", ask), child.exited]);
    return {
      exitCode: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
      stdout: out.text,
      stderr: err.text,
      isCut: out.isCut || err.isCut,
    };
  } finally {
    ask.signal.removeEventListener("abort", stop);
  }
}

async function read(stream: ReadableStream<Uint8Array>, name: "stdout" | "stderr", ask: ChildAsk): Promise<{ text: string; isCut: boolean }> {
  const decoder = new StringDecoder("utf8");
  let kept: Buffer = Buffer.alloc(0);
  let isCut = false;
  let line = "";
  const tell = (text: string): void => {
    const lines = (line + text).split("\n");
    line = lines.pop() ?? "";
    for (const one of lines) ask.onLine(name, one.replace(/\r$/, ""));
    if (line.length <= lineUnitsMax) return;
    ask.onLine(name, line);
    line = "";
  };
  for await (const chunk of stream) {
    tell(decoder.write(Buffer.from(chunk)));
    kept = Buffer.concat([kept, chunk]);
    if (kept.byteLength <= ask.keepBytes) continue;
    kept = kept.subarray(kept.byteLength - ask.keepBytes);
    isCut = true;
  }
  tell(decoder.end());
  if (line !== "") ask.onLine(name, line);
  // A cut may fall within a character.
  const text = kept.toString("utf8");
  return { text: isCut ? text.replace(/^\uFFFD+/, "") : text, isCut };
}

/** A child's lines are the task's lines. */
export function tellLine(stream: "stdout" | "stderr", line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(stream === "stdout" ? 1 : 2, bytes, at);
}

/** Where a program is, on the PATH of a task; null where it is not installed. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" });
}
