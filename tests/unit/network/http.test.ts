// HTTP/1 at the egress proxy: heads are taken strictly and rewritten, bodies measured to the byte.
import { describe, expect, test } from "bun:test";
import { BodyMeter } from "../../../src/plugins/network/http-body.ts";
import type { Framing } from "../../../src/plugins/network/http-body.ts";
import { parseRequestHead, parseResponseHead } from "../../../src/plugins/network/http-head.ts";

const head = (...lines: string[]): string => lines.join("\r\n");
const forwardOf = (text: string): string[] => {
  const parsed = parseRequestHead(text);
  return "problem" in parsed ? [`problem: ${parsed.problem}`] : parsed.forward.split("\r\n");
};

describe("request heads", () => {
  test("hop-by-hop and proxy fields end here, Host is the target", () => {
    const lines = [
      "GET http://A.example.com./x?y=1 HTTP/1.1",
      "Host: evil.example",
      "proxy-authorization: Basic dGFzazp0b2tlbg==",
      "Proxy-Connection: keep-alive",
      "Connection: keep-alive, X-Drop",
      "X-Drop: 1",
      "Upgrade: h2c",
      "TE: trailers",
      "Keep-Alive: 5",
      "X-Kept:  a  ",
    ];
    expect(forwardOf(head(...lines))).toEqual(["GET /x?y=1 HTTP/1.1", "Host: a.example.com", "X-Kept:  a  ", "Connection: close", "", ""]);
    const parsed = parseRequestHead(head(...lines));
    expect("problem" in parsed ? null : [parsed.token, parsed.target.host, parsed.target.port]).toEqual(["token", "a.example.com", 80]);
  });

  test("paths and ports", () => {
    expect(forwardOf("GET http://a.com HTTP/1.1").slice(0, 2)).toEqual(["GET / HTTP/1.1", "Host: a.com"]);
    expect(forwardOf("GET http://a.com?q HTTP/1.0").slice(0, 2)).toEqual(["GET /?q HTTP/1.0", "Host: a.com"]);
    expect(forwardOf("OPTIONS http://a.com:81 HTTP/1.1").slice(0, 2)).toEqual(["OPTIONS * HTTP/1.1", "Host: a.com:81"]);
    expect(forwardOf("GET HTTP://[::1]:8080/a HTTP/1.1").slice(0, 2)).toEqual(["GET /a HTTP/1.1", "Host: [::1]:8080"]);
  });

  const refused: [string, string][] = [
    ["origin form", "GET / HTTP/1.1"],
    ["https in absolute form", "GET https://a.com/ HTTP/1.1"],
    ["a user in the target", "GET http://user@a.com/ HTTP/1.1"],
    ["a fragment", "GET http://a.com/#x HTTP/1.1"],
    ["HTTP/2's preface", "PRI * HTTP/2.0"],
    ["two spaces", "GET  http://a.com/ HTTP/1.1"],
    ["CONNECT without a port", "CONNECT a.com HTTP/1.1"],
    ["CONNECT with a path", "CONNECT a.com:443/x HTTP/1.1"],
    ["length and coding", head("POST http://a.com/ HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked")],
    ["two lengths", head("POST http://a.com/ HTTP/1.1", "Content-Length: 4", "Content-Length: 4")],
    ["a list of lengths", head("POST http://a.com/ HTTP/1.1", "Content-Length: 4, 4")],
    ["a signed length", head("POST http://a.com/ HTTP/1.1", "Content-Length: +4")],
    ["two codings", head("POST http://a.com/ HTTP/1.1", "Transfer-Encoding: gzip, chunked")],
    ["an obscured coding", head("POST http://a.com/ HTTP/1.1", "Transfer-Encoding: \x0bchunked")],
    ["chunks in HTTP/1.0", head("POST http://a.com/ HTTP/1.0", "Transfer-Encoding: chunked")],
    ["a space before the colon", head("POST http://a.com/ HTTP/1.1", "Content-Length : 4")],
    ["a folded line", head("GET http://a.com/ HTTP/1.1", "X: a", " b")],
    ["a bare line feed", head("GET http://a.com/ HTTP/1.1", "X: a\nTransfer-Encoding: chunked")],
    ["a NUL", head("GET http://a.com/ HTTP/1.1", "X: a\0")],
    ["Connection naming the length", head("POST http://a.com/ HTTP/1.1", "Content-Length: 4", "Connection: content-length")],
    ["two tokens", head("GET http://a.com/ HTTP/1.1", "Proxy-Authorization: Basic YTpi", "Proxy-Authorization: Basic YTpj")],
  ];
  for (const [title, text] of refused) test(`refused: ${title}`, () => expect("problem" in parseRequestHead(text)).toBe(true));

  test("long runs of blanks take no time to speak of", () => {
    const startedAt = performance.now();
    expect("problem" in parseRequestHead(head("GET http://a.com/ HTTP/1.1", `X: a${" ".repeat(60_000)}\x01`))).toBe(true);
    expect("problem" in parseRequestHead(head("GET http://a.com/ HTTP/1.1", `X: a${" ".repeat(60_000)}b`))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});

describe("response heads", () => {
  const framing = (text: string, method = "GET"): Framing | null => parseResponseHead(text, method)?.framing ?? null;

  test("what follows", () => {
    expect(framing(head("HTTP/1.1 200 OK", "Content-Length: 5"))).toEqual({ kind: "length", bytes: 5 });
    expect(framing(head("HTTP/1.1 200 OK", "Content-Length: 5"), "HEAD")).toEqual({ kind: "none" });
    expect(framing(head("HTTP/1.1 304 Not Modified", "Content-Length: 5"))).toEqual({ kind: "none" });
    expect(framing(head("HTTP/1.1 200", "Transfer-Encoding: Chunked"))).toEqual({ kind: "chunked" });
    expect(framing("HTTP/1.0 200 OK")).toEqual({ kind: "close" });
  });

  test("the client is told that the connection ends, interim responses are not", () => {
    const lines = head("HTTP/1.1 200 OK", "Connection: keep-alive", "Keep-Alive: 5", "X: y", "Content-Length: 0");
    expect(parseResponseHead(lines, "GET")?.forward.split("\r\n")).toEqual([
      "HTTP/1.1 200 OK",
      "X: y",
      "Content-Length: 0",
      "Connection: close",
      "",
      "",
    ]);
    expect(parseResponseHead("HTTP/1.1 100 Continue", "POST")?.forward).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  });

  test("refused: another protocol, ambiguous lengths, nonsense", () => {
    expect(framing("HTTP/1.1 101 Switching Protocols")).toBeNull();
    expect(framing(head("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"))).toBeNull();
    expect(framing("ICY 200 OK")).toBeNull();
  });
});

describe("bodies", () => {
  /** Fed whole and byte by byte: the bytes that belong to the body, and how it stands. */
  const measure = (framing: Framing, text: string): string => {
    const whole = new BodyMeter(framing);
    const taken = Buffer.from(whole.take(Buffer.from(text, "latin1"))).toString("latin1");
    const single = new BodyMeter(framing);
    const pieces = [...text].map((char) => Buffer.from(single.take(Buffer.from(char, "latin1"))).toString("latin1")).join("");
    expect([pieces, single.isDone, single.isBroken]).toEqual([taken, whole.isDone, whole.isBroken]);
    return `${whole.isBroken ? "broken" : whole.isDone ? "done" : "open"} ${JSON.stringify(taken)}`;
  };
  const chunked: Framing = { kind: "chunked" };

  test("lengths", () => {
    expect(measure({ kind: "length", bytes: 3 }, "abcGET /")).toBe('done "abc"');
    expect(measure({ kind: "length", bytes: 3 }, "ab")).toBe('open "ab"');
    expect(measure({ kind: "length", bytes: 0 }, "GET /")).toBe('done ""');
    expect(measure({ kind: "none" }, "GET /")).toBe('done ""');
    expect(measure({ kind: "close" }, "abc")).toBe('open "abc"');
  });

  test("chunks, extensions and trailers", () => {
    expect(measure(chunked, "3\r\nabc\r\n0\r\n\r\nGET /")).toBe('done "3\\r\\nabc\\r\\n0\\r\\n\\r\\n"');
    expect(measure(chunked, "A;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\nX")).toBe('done "A;x=y\\r\\n0123456789\\r\\n0\\r\\nT: v\\r\\n\\r\\n"');
    expect(measure(chunked, "3\r\nab")).toBe('open "3\\r\\nab"');
  });

  const broken = [
    "\r\n",
    "g\r\n",
    "3\nabc",
    "3\r\nabcd\r\n",
    "3\r\nabc\n",
    "-1\r\n",
    "0x3\r\n",
    "3 \x01\r\n",
    "0\r\nno field\r\n",
    "0\r\nA: \r\rB\r\n",
  ];
  broken.push("fffffffffffffff\r\n", `3;${"x".repeat(5000)}\r\n`, "3\r \n");
  for (const text of broken) {
    test(`broken: ${JSON.stringify(text).slice(0, 40)}`, () => expect(measure(chunked, text)).toStartWith("broken"));
  }
});
