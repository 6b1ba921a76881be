// The connection that carries a container's output, and whose other direction keeps the container alive: a request that
// the engine answers by handing over the connection itself, which fetch cannot do.

import { createConnection, type Socket } from "node:net";
import { type CodedError, fail, limits } from "../../../base/index.ts";
import { asRecord, type Engine, requestTarget, unavailable } from "./engine-api.ts";
import type { ChunkQueue } from "./chunk-queue.ts";
import { FrameReader } from "./frames.ts";

export type Attached = {
  /** When the engine has nothing more to send. */
  ended: Promise<void>;
  /** Takes the rest without waiting for a reader: what the engine still holds is little. */
  hurry(): void;
  /** Lets go: the relay then ends the container. */
  close(): void;
};

const headBytesMax = 64 * 1024;
const headMs = 30_000;

export type Output = { stdout: ChunkQueue; stderr: ChunkQueue };

/** Attaches to a container that was made and not yet started; what it writes goes into the two queues.
 * @throws DOCKER_UNAVAILABLE, TASK_FAILED */
export async function attach(engine: Engine, container: string, output: Output): Promise<Attached> {
  const socket = createConnection({ path: engine.socket, allowHalfOpen: true });
  const flow = new OutputFlow(socket, output);
  try {
    await flow.open(attachRequest(engine, container));
  } catch (cause) {
    socket.destroy();
    throw cause;
  }
  return flow;
}

function attachRequest(engine: Engine, container: string): string {
  const target = requestTarget(engine, `/containers/${container}/attach`, { stream: "1", stdin: "1", stdout: "1", stderr: "1" });
  return `POST ${target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`;
}

class OutputFlow implements Attached {
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #frames: FrameReader;
  #isHurried = false;
  #head: Buffer | null = Buffer.alloc(0);
  #settleHead: { resolve(): void; reject(error: CodedError): void } | null = null;

  constructor(socket: Socket, output: Output) {
    this.#socket = socket;
    this.#output = output;
    this.#frames = new FrameReader((stream, chunk) => (stream === 2 ? output.stderr : output.stdout).push(chunk));
    output.stdout.onTaken = () => this.#balance();
    output.stderr.onTaken = () => this.#balance();
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#settleHead?.reject(unavailable("Cannot attach to a container: the engine closed the connection"));
        output.stdout.end();
        output.stderr.end();
        socket.destroy();
        resolve();
      };
      socket.on("end", end);
      socket.on("close", end);
    });
    socket.on("error", (cause) => this.#settleHead?.reject(unavailable(`Cannot attach to a container: ${cause.message}`, { cause })));
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
  }

  async open(request: string): Promise<void> {
    const timer = setTimeout(() => this.#settleHead?.reject(unavailable("Cannot attach to a container: no answer")), headMs);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settleHead = { resolve, reject };
        this.#socket.write(request);
      });
    } finally {
      clearTimeout(timer);
      this.#settleHead = null;
    }
  }

  hurry(): void {
    this.#isHurried = true;
    this.#balance();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const body = this.#head === null ? bytes : this.#takeHead(Buffer.concat([this.#head, bytes]));
    if (body === null) return;
    if (!this.#frames.push(body)) return this.close();
    this.#balance();
  }

  /** The answer's head; gives what follows it, null while it is not whole or when it is a refusal. */
  #takeHead(head: Buffer): Buffer | null {
    this.#head = head;
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (head.byteLength > headBytesMax) this.close();
      return null;
    }
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.toString("latin1", 0, 16))?.[1] ?? 0);
    const body = head.subarray(end + 4);
    if (status !== 101 && status !== 200) {
      this.#settleHead?.reject(refusal(status, body.toString("utf8")));
      return null;
    }
    this.#head = null;
    this.#settleHead?.resolve();
    return body;
  }

  /** A container whose output nobody takes waits, as a process with a full pipe does. */
  #balance(): void {
    if (this.#socket.destroyed) return;
    const { stdout, stderr } = this.#output;
    const isFull = !this.#isHurried && stdout.bytes + stderr.bytes > limits.containerOutputBufferBytes;
    if (isFull && !this.#socket.isPaused()) this.#socket.pause();
    else if (!isFull && this.#socket.isPaused()) this.#socket.resume();
  }
}

function refusal(status: number, text: string): CodedError {
  const json = /\{.*\}/s.exec(text)?.[0] ?? "{}";
  let message = "";
  try {
    message = String(asRecord(JSON.parse(json)).message ?? "");
  } catch {
    message = text;
  }
  return fail("TASK_FAILED", `Cannot attach to a container: ${message}`, { details: { status } });
}
