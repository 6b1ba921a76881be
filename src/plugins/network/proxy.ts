// The egress proxy's side of a client connection: head, token, decision, then a tunnel or one exchange of messages.
import { limits } from "../../base/index.ts";
import type { Connection } from "./connection.ts";
import { connectTo } from "./dial.ts";
import { exchangeMessages } from "./exchange.ts";
import { parseRequestHead } from "./http-head.ts";
import type { RequestHead } from "./http-head.ts";
import type { Pass } from "./pass.ts";
import { formatTarget } from "./target.ts";
import { joinWires } from "./wire.ts";

/** The pass of a token, null when there is none; it then belongs to that pass. */
type Admit = (connection: Connection, token: string | null) => Pass | "unknown" | "full";

const established = Buffer.from("HTTP/1.1 200 Connection Established\r\n\r\n");

/** Serves a connection from its first byte. */
export function serveProxy(connection: Connection, admit: Admit): void {
  const { client } = connection;
  let head = Buffer.alloc(0);
  client.handlers = {
    onData(chunk) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 && head.length <= limits.networkHeadBytesMax) return;
      client.pause();
      if (end < 0 || end > limits.networkHeadBytesMax) return refuse(connection, "431 Request Header Fields Too Large", "the head is too large");
      const request = parseRequestHead(head.toString("latin1", 0, end));
      if ("problem" in request) return refuse(connection, "400 Bad Request", request.problem);
      const pass = admit(connection, request.token);
      if (pass === "unknown") return refuse(connection, "407 Proxy Authentication Required", "no valid token");
      if (pass === "full") return refuse(connection, "503 Service Unavailable", "too many connections at once");
      client.handlers = { onData: () => {}, onEnd: () => {}, onClose: () => {}, onDrain: () => {} };
      void connectRequest(connection, pass, { request, rest: head.subarray(end + 4) });
    },
    onEnd: () => connection.destroy(),
    onClose: () => {},
    onDrain: () => {},
  };
  client.resume();
}

async function connectRequest(connection: Connection, pass: Pass, { request, rest }: { request: RequestHead; rest: Uint8Array }): Promise<void> {
  const { client } = connection;
  const { target } = request;
  connection.startDialling();
  const route = await pass.decide(target, "proxy");
  if (!route.allowed) return refuse(connection, "403 Forbidden", `network permission missing: ${route.entries.join(", ")}`);
  if (route.addresses.length === 0) return refuse(connection, "502 Bad Gateway", `no address of ${target.host} was found`);
  const far = await connectTo(route.addresses, target.port);
  if (far === null) return refuse(connection, "502 Bad Gateway", `${formatTarget(target)} does not answer`);
  if (client.isClosed || !pass.isOpen) return far.destroy();
  connection.establish(far);
  if (!request.isTunnel) return exchangeMessages({ connection, request, far, refuse }, rest);
  client.write(established);
  far.write(rest);
  joinWires(client, far, connection.touch);
}

/** A status of the proxy's own, then the end. */
function refuse(connection: Connection, status: string, text: string): void {
  const { client } = connection;
  const fields = [
    `HTTP/1.1 ${status}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    // RFC 9209: this answer is not the server's.
    "Proxy-Status: workflow",
    ...(status.startsWith("403") ? ["X-Denied-By: engine"] : []),
    ...(status.startsWith("407") ? ['Proxy-Authenticate: Basic realm="workflow"'] : []),
    "Connection: close",
  ];
  client.write(Buffer.from(`${fields.join("\r\n")}\r\n\r\n${text}`));
  connection.sayGoodbye();
}
