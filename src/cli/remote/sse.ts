// Server-sent events: parsing of the stream, and reading on after a dropped connection from the last id that came.
import { isCoded } from "../../base/index.ts";
import { type Call, type RemoteServer, send, unreachable } from "./http-client.ts";

export type ServerEvent = { id: string | null; event: string; data: string };

const reconnectMs = 500;
const reconnectsMax = 20;

/** Splits the text of a stream into events (HTML standard, 9.2.6); comments and retry lines are passed over. */
export async function* parseEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let buffer = "";
  let id: string | null = null;
  let event = "";
  let data: string[] = [];
  for await (const chunk of chunks) {
    buffer += decoder.decode(chunk, { stream: true });
    // A CR at the very end may be the first half of CRLF: it waits for the next chunk.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    buffer = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { id, event: event === "" ? "message" : event, data: data.join("\n") };
        event = "";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") data.push(value);
      else if (field === "event") event = value;
      else if (field === "id" && !value.includes("\0")) id = value;
    }
  }
}

/**
 * The events of a route until its `end` event or until the signal aborts. A connection that breaks, or that a stopping server
 * closes, is opened again with Last-Event-ID, so nothing is lost or repeated; attempts that bring nothing are counted.
 * @throws SERVER_UNREACHABLE after twenty of those, and what the server refuses with
 */
export async function* streamServerEvents(server: RemoteServer, call: Call, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  let lastId: string | null = null;
  let fruitless = 0;
  // A server that was never reached is not waited for.
  let opened = false;
  for (;;) {
    try {
      const resume: Record<string, string> = lastId === null ? {} : { "last-event-id": lastId };
      const response = await send(server, { ...call, signal, headers: { ...call.headers, accept: "text/event-stream", ...resume } });
      opened = true;
      for await (const event of parseEvents(response.body ?? emptyBody())) {
        if (event.event === "end") return;
        lastId = event.id ?? lastId;
        fruitless = 0;
        yield event;
      }
      throw unreachable(server, "the stream was closed");
    } catch (thrown) {
      if (signal.aborted) return;
      if (isCoded(thrown) && (thrown.code !== "SERVER_UNREACHABLE" || !opened)) throw thrown;
      fruitless += 1;
      if (fruitless > reconnectsMax) throw isCoded(thrown) ? thrown : unreachable(server, thrown);
      await pause(reconnectMs, signal);
    }
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
