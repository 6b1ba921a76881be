// Heads of HTTP/1 messages at the proxy: parsed strictly, rewritten for one message a connection (RFC 9110, 7.6; RFC 9112). Pure.
import type { Framing } from "./http-body.ts";
import { parseAuthority } from "./target.ts";
import type { Target } from "./target.ts";

type Field = { name: string; value: string; line: string };

export type RequestHead = {
  method: string;
  target: Target;
  /** CONNECT. */
  isTunnel: boolean;
  token: string | null;
  /** What the target gets, with the empty line; empty for tunnels. */
  forward: string;
  framing: Framing;
};

export type ResponseHead = { status: number; forward: string; framing: Framing };

const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const statusLine = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const hopByHop = new Set(["connection", "keep-alive", "te", "upgrade", "http2-settings"]);
/** What a Connection field may not name, or the message would change its meaning on the way. */
const endToEnd = new Set(["host", "content-length", "transfer-encoding"]);

/** A request's head, without the empty line that ends it; the reason when it cannot be taken. */
export function parseRequestHead(text: string): RequestHead | { problem: string } {
  const [first = "", ...rest] = text.split("\r\n");
  const start = requestLine.exec(first);
  const fields = readFields(rest);
  if (start === null || fields === null) return { problem: "the head is malformed" };
  const [, method = "", uri = "", minor = "1"] = start;
  const token = readToken(fields);
  const framing = readFraming(fields);
  const dropped = droppedNames(fields);
  if (token === undefined || framing === null || dropped === null) return { problem: "fields contradict each other" };
  if (method === "CONNECT") {
    const target = parseAuthority(uri, null);
    // A body of CONNECT means nothing (RFC 9110, 9.3.6); what follows the head belongs to the tunnel.
    return target === null
      ? { problem: "CONNECT needs host:port" }
      : { method, target, isTunnel: true, token, forward: "", framing: { kind: "none" } };
  }
  if (framing?.kind === "chunked" && minor === "0") return { problem: "HTTP/1.0 has no chunks" };
  const place = readAbsolute(uri, method);
  if (place === null) return { problem: "the proxy takes CONNECT, and http:// in absolute form" };
  const { target, path } = place;
  const host = target.port === 80 ? target.host : `${target.host}:${target.port}`;
  const kept = fields.filter((field) => field.name !== "host" && !dropped.has(field.name)).map((field) => field.line);
  const forward = [`${method} ${path} HTTP/1.${minor}`, `Host: ${host}`, ...kept, "Connection: close", "", ""].join("\r\n");
  return { method, target, isTunnel: false, token, forward, framing: framing ?? { kind: "none" } };
}

/** A response's head; null when it is malformed. `method` is that of its request. */
export function parseResponseHead(text: string, method: string): ResponseHead | null {
  const [first = "", ...rest] = text.split("\r\n");
  const start = statusLine.exec(first);
  const fields = readFields(rest);
  if (start === null || fields === null) return null;
  const status = Number(start[1]);
  const stated = readFraming(fields);
  const dropped = droppedNames(fields);
  // Nobody asked for another protocol: the request's Upgrade was not passed on.
  if (stated === null || dropped === null || status === 101) return null;
  const isInterim = status < 200;
  const hasNoBody = isInterim || status === 204 || status === 304 || method === "HEAD";
  const framing: Framing = hasNoBody ? { kind: "none" } : (stated ?? { kind: "close" });
  const kept = fields.filter((field) => !dropped.has(field.name)).map((field) => field.line);
  const forward = [first, ...kept, ...(isInterim ? [] : ["Connection: close"]), "", ""].join("\r\n");
  return { status, forward, framing };
}

/** Null when a line is no field: folded lines, spaces before the colon, control characters. */
function readFields(lines: readonly string[]): Field[] | null {
  const fields: Field[] = [];
  for (const line of lines) {
    const match = fieldLine.exec(line);
    if (match === null) return null;
    fields.push({ name: (match[1] ?? "").toLowerCase(), value: trimBlanks(match[2] ?? ""), line });
  }
  return fields;
}

/** By hand: a pattern takes quadratic time on long runs of blanks, and `trim` takes more than blanks. */
function trimBlanks(text: string): string {
  const isBlank = (at: number) => text[at] === " " || text[at] === "\t";
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}

function valuesOf(fields: readonly Field[], name: string): string[] {
  return fields.filter((field) => field.name === name).map((field) => field.value);
}

/** Undefined: none stated. Null: ambiguous, which is how messages are smuggled. */
function readFraming(fields: readonly Field[]): Framing | undefined | null {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (lengths.length + codings.length === 0) return undefined;
  if (lengths.length + codings.length > 1) return null;
  const [length = ""] = lengths;
  if (codings.length > 0) return codings[0]?.toLowerCase() === "chunked" ? { kind: "chunked" } : null;
  return /^\d{1,15}$/.test(length) ? { kind: "length", bytes: Number(length) } : null;
}

/** Names of the fields that end at the proxy. */
function droppedNames(fields: readonly Field[]): Set<string> | null {
  const named = valuesOf(fields, "connection").flatMap((value) => value.split(",").map((name) => name.trim().toLowerCase()));
  if (named.some((name) => endToEnd.has(name))) return null;
  const proxies = fields.map((field) => field.name).filter((name) => name.startsWith("proxy-"));
  return new Set([...hopByHop, ...named, ...proxies]);
}

/** The password of Basic proxy authorization; null when there is none, undefined when there are two. */
function readToken(fields: readonly Field[]): string | null | undefined {
  const values = valuesOf(fields, "proxy-authorization");
  if (values.length > 1) return undefined;
  const encoded = /^basic +([A-Za-z0-9+/_-]{1,1024}={0,2})$/i.exec(values[0] ?? "")?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, "base64").toString("latin1");
  return text.slice(text.indexOf(":") + 1);
}

function readAbsolute(uri: string, method: string): { target: Target; path: string } | null {
  const match = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(uri);
  if (match === null) return null;
  const target = parseAuthority(match[1] ?? "", "80");
  const rest = match[2] ?? "";
  const path = rest === "" ? (method === "OPTIONS" ? "*" : "/") : rest.startsWith("?") ? `/${rest}` : rest;
  return target === null ? null : { target, path };
}
