// One plain HTTP request through the proxy and its response: exactly one of each, both measured, then the connection ends.
import { limits } from "../../base/index.ts";
import type { Connection } from "./connection.ts";
import { BodyMeter } from "./http-body.ts";
import { parseResponseHead } from "./http-head.ts";
import type { RequestHead } from "./http-head.ts";
import type { Wire } from "./wire.ts";

/** Sends a status of the proxy's own to the client, and ends the connection when the client has read it. */
export type Refuse = (connection: Connection, status: string, text: string) => void;

type Exchange = { connection: Connection; request: RequestHead; far: Wire; refuse: Refuse };

/** Runs the exchange. `first` is what the client sent after the head. */
export function exchangeMessages(exchange: Exchange, first: Uint8Array): void {
  const { connection, request, far } = exchange;
  const { client } = connection;
  const body = new BodyMeter(request.framing);
  const response = new ResponseReader(exchange);
  const passBody = (chunk: Uint8Array): void => {
    const part = body.take(chunk);
    // What comes after the body would be a second request: it goes nowhere.
    if (!far.write(part)) client.pause();
    if (body.isBroken) connection.destroy();
  };
  client.handlers = {
    onData(chunk) {
      connection.touch();
      passBody(chunk);
    },
    onEnd: () => {
      if (!body.isDone) connection.destroy();
    },
    onClose: () => far.destroy(),
    onDrain() {
      connection.touch();
      far.resume();
    },
  };
  far.handlers = {
    onData(chunk) {
      connection.touch();
      if (!response.take(chunk)) far.pause();
    },
    onEnd: () => response.end(),
    onClose: (isBroken) => (isBroken ? response.fail() : response.end()),
    onDrain() {
      connection.touch();
      client.resume();
    },
  };
  far.write(Buffer.from(request.forward, "latin1"));
  passBody(first);
  client.resume();
  far.resume();
}

/** Passes one response on to the client, its head rewritten, interim responses before it. */
class ResponseReader {
  #exchange: Exchange;
  #head: Uint8Array = new Uint8Array();
  #body: BodyMeter | null = null;
  #isOver = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** False when the client is slower. */
  take(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (this.#body !== null) return this.#takeBody(this.#body, chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#takeHeads();
  }

  /** The far side has said all. Without a length that is the body's end; else the client sees that bytes are missing. */
  end(): void {
    if (this.#isOver) return;
    if (this.#body === null) this.#refuse();
    else this.#finish();
  }

  fail(): void {
    if (this.#isOver) return;
    if (this.#body === null) this.#refuse();
    else this.#exchange.connection.destroy();
  }

  #takeHeads(): boolean {
    const { connection, request } = this.#exchange;
    for (;;) {
      const end = Buffer.from(this.#head.buffer, this.#head.byteOffset, this.#head.length).indexOf("\r\n\r\n");
      if (end < 0 || end > limits.networkHeadBytesMax) {
        if (this.#head.length > limits.networkHeadBytesMax) this.#refuse();
        return true;
      }
      const head = parseResponseHead(Buffer.from(this.#head.subarray(0, end)).toString("latin1"), request.method);
      if (head === null) {
        this.#refuse();
        return true;
      }
      const rest = this.#head.subarray(end + 4);
      const isTaken = connection.client.write(Buffer.from(head.forward, "latin1"));
      if (head.status >= 200) {
        this.#body = new BodyMeter(head.framing);
        return this.#takeBody(this.#body, rest) && isTaken;
      }
      this.#head = rest;
    }
  }

  #takeBody(body: BodyMeter, chunk: Uint8Array): boolean {
    const { connection } = this.#exchange;
    const isTaken = connection.client.write(body.take(chunk));
    if (body.isBroken) connection.destroy();
    else if (body.isDone) this.#finish();
    return isTaken;
  }

  #refuse(): void {
    const { connection, far, refuse, request } = this.#exchange;
    this.#isOver = true;
    far.destroy();
    refuse(connection, "502 Bad Gateway", `no valid response from ${request.target.host}:${request.target.port}`);
  }

  #finish(): void {
    this.#isOver = true;
    this.#exchange.connection.sayGoodbye();
    this.#exchange.far.close();
  }
}
