// core/http.request against real servers on loopback, plain and TLS, and through a proxy as the sandbox gives it.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendRequest } from "../../../src/actions/http/request.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";

type Seen = { method: string; path: string; headers: Record<string, string>; body: string };
let seen: Seen[] = [];
let answer: (request: Request, count: number) => Response | Promise<Response> = () => new Response("ok");

const server = Bun.serve({
  port: 0,
  async fetch(request) {
    const url = new URL(request.url);
    seen.push({
      method: request.method,
      path: url.pathname + url.search,
      headers: Object.fromEntries(request.headers),
      body: await request.clone().text(),
    });
    return answer(request, seen.length);
  },
});
const base = `http://127.0.0.1:${server.port}`;
const folder = mkdtempSync(join(tmpdir(), "autokestra-http-"));
afterAll(() => {
  void server.stop(true);
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  seen = [];
  answer = () => new Response("ok");
});

const context = directContext();
const send = (input: JsonObject) => sendRequest(input, context);
const json = (value: unknown, init: ResponseInit = {}) => Response.json(value, init);

describe("what is sent", () => {
  test("every verb arrives as it is", async () => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "purge"]) await send({ url: base, method });
    expect(seen.map((one) => one.method)).toEqual(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "PURGE"]);
    expect((await rejection(send({ url: base, method: "CONNECT" }))).code).toBe("TASK_INPUT_INVALID");
  });

  test("query members join the URL's own, lists repeat, null is left out", async () => {
    await send({ url: `${base}/a?x=1#part`, query: { y: [1, true], z: null, s: "a b&c" } });
    expect(seen[0]?.path).toBe("/a?x=1&y=1&y=true&s=a+b%26c");
  });

  test("bodies: text, json, form, file and multipart, each with its type", async () => {
    const path = join(folder, "data.bin");
    writeFileSync(path, "file content");
    await send({ url: base, method: "POST", body: "plain" });
    await send({ url: base, method: "POST", json: { a: [1, null] } });
    await send({ url: base, method: "PUT", form: { a: "ü&", b: [1, 2] } });
    await send({ url: base, method: "PUT", file: path, headers: { "Content-Type": "image/png" } });
    await send({
      url: base,
      method: "POST",
      multipart: [
        { name: "note", value: "hello" },
        { name: "doc", file: path, filename: "d.txt", contentType: "text/csv" },
      ],
    });
    expect(seen.map((one) => [one.headers["content-type"]?.split(";")[0], one.body]).slice(0, 4)).toEqual([
      ["text/plain", "plain"],
      ["application/json", '{"a":[1,null]}'],
      ["application/x-www-form-urlencoded", "a=%C3%BC%26&b=1&b=2"],
      ["image/png", "file content"],
    ]);
    expect(seen[4]?.headers["content-type"]).toStartWith("multipart/form-data; boundary=");
    expect(seen[4]?.body).toMatch(/name="note"\r\n\r\nhello\r\n/);
    expect(seen[4]?.body).toMatch(/name="doc"; filename="d.txt"\r\nContent-Type: text\/csv\r\n\r\nfile content\r\n/i);
  });

  test("a body that is no text is JSON, and a form where the headers say so", async () => {
    for (const body of [{ a: [1] }, [1, "x"], 7, false, "text"]) await send({ url: base, method: "POST", body });
    const headers = { "Content-Type": "application/merge-patch+json" };
    await send({ url: base, method: "PATCH", body: { a: 1 }, headers });
    await send({ url: base, method: "POST", body: { a: 1, b: ["x", "y z"] }, headers: { "content-type": "application/x-www-form-urlencoded" } });
    await send({ url: base, body: null });
    expect(seen.map((one) => [one.headers["content-type"]?.split(";")[0], one.body])).toEqual([
      ["application/json", '{"a":[1]}'],
      ["application/json", '[1,"x"]'],
      ["application/json", "7"],
      ["application/json", "false"],
      ["text/plain", "text"],
      ["application/merge-patch+json", '{"a":1}'],
      ["application/x-www-form-urlencoded", "a=1&b=x&b=y+z"],
      [undefined, ""],
    ]);
  });

  test("one body only, and none with GET; a file that is not there has its own code", async () => {
    expect((await rejection(send({ url: base, method: "POST", body: "a", json: 1 }))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(send({ url: base, body: "a" }))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(send({ url: base, method: "POST", file: join(folder, "none") }))).code).toBe("FILE_NOT_FOUND");
    expect((await rejection(send({ url: base, method: "POST", file: folder }))).code).toBe("TASK_INPUT_INVALID");
    expect(seen).toEqual([]);
  });

  test("auth as basic, bearer, or the URL's user", async () => {
    await send({ url: base, auth: { basic: { username: "u", password: "p:ä" } } });
    await send({ url: base, auth: { bearer: "tok" } });
    await send({ url: base.replace("//", "//me:p%40ss@") });
    const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    expect(seen.map((one) => one.headers["authorization"])).toEqual([basic("u:p:ä"), "Bearer tok", basic("me:p@ss")]);
  });

  test("headers cannot be split, and those of the connection are refused, without repeating values", async () => {
    for (const headers of [
      { "x-a": "b\r\nx-evil: 1" },
      { "x\na": "b" },
      { "transfer-encoding": "chunked" },
      { "Proxy-Authorization": "x" },
    ] as JsonObject[]) {
      const error = await rejection(send({ url: base, headers }));
      expect(error.code).toBe("TASK_INPUT_INVALID");
      expect(error.message).not.toContain("evil");
    }
    const error = await rejection(send({ url: base, auth: { bearer: "se\ncret" } }));
    expect([error.code, error.message.includes("cret")]).toEqual(["TASK_INPUT_INVALID", false]);
    expect(seen).toEqual([]);
  });
});

describe("what comes back", () => {
  test("JSON is parsed, integers beyond 2^53 are text, header names are lower case, cookies a list", async () => {
    answer = () => {
      const headers = new Headers({ "Content-Type": "application/problem+json; charset=utf-8", "X-Thing": "V" });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response('{"id":12345678901234567890,"n":1.5}', { headers });
    };
    const { status, headers, body } = (await send({ url: base })) as { status: number; headers: JsonObject; body: JsonObject };
    expect([status, body, headers["x-thing"], headers["set-cookie"]]).toEqual([200, { id: "12345678901234567890", n: 1.5 }, "V", ["a=1", "b=2"]]);
  });

  test("text by its charset; what calls itself JSON and is not stays text", async () => {
    answer = () => new Response(new Uint8Array([0xe4, 0x62]), { headers: { "content-type": "text/plain; charset=iso-8859-1" } });
    expect((await send({ url: base }))["body"]).toBe("äb");
    answer = () => new Response("{no", { headers: { "content-type": "application/json" } });
    expect((await send({ url: base }))["body"]).toBe("{no");
  });

  test("no body: 204, HEAD, and an empty one", async () => {
    answer = () => new Response(null, { status: 204 });
    expect((await send({ url: base }))["body"]).toBeNull();
    answer = () => new Response("not sent", { headers: { "content-type": "text/plain" } });
    expect((await send({ url: base, method: "HEAD" }))["body"]).toBeNull();
    answer = () => new Response("", { headers: { "content-type": "application/json" } });
    expect((await send({ url: base }))["body"]).toBeNull();
  });

  test("binary, large text and saveAs become artifacts with their digest", async () => {
    const bytes = new Uint8Array([0, 1, 2, 255]);
    answer = () => new Response(bytes, { headers: { "content-type": "image/png", "content-disposition": 'attachment; filename="../../x y.png"' } });
    const binary = (await send({ url: `${base}/pic` }))["body"] as JsonObject;
    const sha256 = (data: Uint8Array | string) => new Bun.CryptoHasher("sha256").update(data).digest("hex");
    expect(binary).toEqual({ name: "x_y.png", uri: `artifact:${sha256(bytes)}`, size: 4, contentType: "image/png" });
    expect(readFileSync(join(context.workdir, "out/x_y.png"))).toEqual(Buffer.from(bytes));
    const large = JSON.stringify("x".repeat(2_000_000));
    answer = () => new Response(large, { headers: { "content-type": "application/json" } });
    expect((await send({ url: `${base}/a/list.json` }))["body"]).toMatchObject({
      name: "list.json",
      uri: `artifact:${sha256(large)}`,
      size: large.length,
    });
    answer = () => json({ a: 1 });
    expect((await send({ url: base, saveAs: "kept.json" }))["body"]).toMatchObject({ name: "kept.json", size: 7 });
    expect((await send({ url: base, saveAs: "kept.json" }))["body"]).toMatchObject({ name: "kept-2.json" });
  });

  test("a body above maxBytes is TOO_LARGE, whether announced, streamed or packed", async () => {
    answer = () => new Response("x".repeat(1001));
    expect((await rejection(send({ url: base, maxBytes: 1000 }))).code).toBe("TOO_LARGE");
    answer = () => new Response(new ReadableStream({ pull: (flow) => flow.enqueue(new Uint8Array(65_536)) }));
    expect(await rejection(send({ url: base, maxBytes: 1_000_000 }))).toMatchObject({ code: "TOO_LARGE", retryable: false });
    const packed = Bun.gzipSync(new Uint8Array(5_000_000));
    answer = () => new Response(packed, { headers: { "content-encoding": "gzip" } });
    expect((await rejection(send({ url: base, maxBytes: 1_000_000 }))).code).toBe("TOO_LARGE");
  });
});

describe("failures", () => {
  test("a status of 400 or more fails with status and excerpt, and shows neither query nor credentials", async () => {
    answer = () => new Response("no such thing", { status: 404 });
    const error = await rejection(send({ url: `${base}/x?token=s3cret`, headers: { authorization: "Bearer s3cret" } }));
    expect(error).toMatchObject({ code: "HTTP_STATUS", retryable: false, details: { status: 404, body: "no such thing", url: `${base}/x?…` } });
    expect(JSON.stringify(error)).not.toContain("s3cret");
    answer = () => new Response("", { status: 500 });
    expect(await rejection(send({ url: base }))).toMatchObject({ code: "HTTP_STATUS", retryable: true });
    answer = () => json({ why: 1 }, { status: 418 });
    expect(await send({ url: base, failOnStatus: false })).toMatchObject({ status: 418, body: { why: 1 } });
  });

  test("nobody there is HTTP_UNREACHABLE, too slow is HTTP_TIMEOUT, also in the body", async () => {
    const error = await rejection(send({ url: "http://127.0.0.1:1/p?key=s3cret" }));
    expect(error).toMatchObject({ code: "HTTP_UNREACHABLE", retryable: true });
    expect(JSON.stringify(error)).not.toContain("s3cret");
    answer = () => new Promise(() => undefined);
    expect(await rejection(send({ url: base, timeout: "50ms" }))).toMatchObject({ code: "HTTP_TIMEOUT", retryable: true });
    answer = () => new Response(new ReadableStream({ start: (flow) => flow.enqueue(new Uint8Array(10)) }));
    expect((await rejection(send({ url: base, timeout: "50ms" }))).code).toBe("HTTP_TIMEOUT");
  });
});

describe("retries", () => {
  test("429 and 503 are tried again after what Retry-After says, in seconds or as a date", async () => {
    answer = (_request, count) => {
      if (count === 1) return new Response("", { status: 503, headers: { "retry-after": "0" } });
      if (count === 2) return new Response("", { status: 429, headers: { "retry-after": new Date(Date.now() - 1000).toUTCString() } });
      return new Response("third");
    };
    expect((await send({ url: base }))["body"]).toBe("third");
    expect(seen.length).toBe(3);
  });

  test("without Retry-After the delay doubles; after max the last answer stands", async () => {
    answer = () => new Response("busy", { status: 503 });
    const started = performance.now();
    expect(await rejection(send({ url: base, retries: { max: 2, delay: "20ms" } }))).toMatchObject({ code: "HTTP_STATUS", details: { status: 503 } });
    expect(seen.length).toBe(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(60);
  });

  test("a Retry-After beyond maxDelay is not waited for; POST is repeated only when told to, with its body", async () => {
    answer = () => new Response("", { status: 503, headers: { "retry-after": "3600" } });
    expect(await rejection(send({ url: base }))).toMatchObject({ details: { status: 503, retryAfter: "3600" }, retryable: true });
    expect(seen.length).toBe(1);
    answer = (_request, count) =>
      count === 2 || count === 3 ? new Response("", { status: 503, headers: { "retry-after": "0" } }) : new Response("ok");
    await rejection(send({ url: base, method: "POST", json: 1 }));
    expect(seen.length).toBe(2);
    await send({ url: base, method: "POST", json: { n: 1 }, retries: 1 });
    expect(seen.slice(2).map((one) => one.body)).toEqual(['{"n":1}', '{"n":1}']);
  });

  test("the end of the task ends a wait", async () => {
    const stopped = directContext();
    answer = () => {
      queueMicrotask(() => stopped.stop());
      return new Response("", { status: 503, headers: { "retry-after": "30" } });
    };
    expect((await rejection(sendRequest({ url: base }, stopped))).code).toBe("HTTP_UNREACHABLE");
  });
});

describe("redirects", () => {
  const to = (location: string, status = 302) => new Response(null, { status, headers: { location } });

  test("are followed, POST turns into GET where browsers do so, 307 keeps method and body", async () => {
    answer = (request) => (new URL(request.url).pathname === "/end" ? new Response("end") : to("/end", request.method === "PUT" ? 307 : 303));
    await send({ url: base, method: "POST", json: 1 });
    await send({ url: base, method: "PUT", body: "again" });
    expect(seen.map((one) => [one.method, one.path, one.body, one.headers["content-type"] ?? null])).toEqual([
      ["POST", "/", "1", "application/json"],
      ["GET", "/end", "", null],
      ["PUT", "/", "again", "text/plain; charset=utf-8"],
      ["PUT", "/end", "again", "text/plain; charset=utf-8"],
    ]);
  });

  test("can be left alone, and are bounded", async () => {
    answer = () => to("/again");
    expect(await send({ url: base, followRedirects: false })).toMatchObject({ status: 302, headers: { location: "/again" } });
    expect((await rejection(send({ url: base, maxRedirects: 3 }))).code).toBe("HTTP_STATUS");
    expect(seen.length).toBe(5);
  });

  test("credentials do not follow to another origin", async () => {
    answer = (request) => (new URL(request.url).hostname === "localhost" ? new Response("there") : to(`http://localhost:${server.port}/there`));
    await send({ url: base, headers: { authorization: "Bearer x", cookie: "a=1", "x-plain": "1" } });
    expect(seen.map(({ headers }) => [headers["authorization"] ?? null, headers["cookie"] ?? null, headers["x-plain"]])).toEqual([
      ["Bearer x", "a=1", "1"],
      [null, null, "1"],
    ]);
  });
});

describe("TLS", () => {
  const file = (name: string) => join(folder, name);
  function makeCertificates(): void {
    mkdirSync(folder, { recursive: true });
    const openssl = (...args: string[]) => {
      const ended = Bun.spawnSync(["openssl", ...args], { cwd: folder, stderr: "pipe" });
      if (ended.exitCode !== 0) throw new Error(ended.stderr.toString());
    };
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "key.pem",
      "-out",
      "cert.pem",
      "-days",
      "2",
      ...subject,
    );
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "me.key",
      "-out",
      "me.pem",
      "-days",
      "2",
      "-subj",
      "/CN=me",
    );
  }

  test("unknown certificates are refused; ca (path or text) and insecure take them; a client proves itself", async () => {
    makeCertificates();
    const secure = Bun.serve({
      port: 0,
      tls: { cert: Bun.file(file("cert.pem")), key: Bun.file(file("key.pem")) },
      fetch: () => new Response("secret"),
    });
    const url = `https://127.0.0.1:${secure.port}/`;
    try {
      expect(await rejection(send({ url }))).toMatchObject({ code: "HTTP_UNREACHABLE", retryable: false });
      expect((await send({ url, tls: { ca: file("cert.pem") } }))["body"]).toBe("secret");
      expect((await send({ url, tls: { ca: readFileSync(file("cert.pem"), "utf8") } }))["body"]).toBe("secret");
      expect((await send({ url, tls: { insecure: true } }))["body"]).toBe("secret");
      expect((await rejection(send({ url, tls: { ca: file("me.pem") } }))).code).toBe("HTTP_UNREACHABLE");
    } finally {
      await secure.stop(true);
    }
    const mutual = Bun.serve({
      port: 0,
      tls: {
        cert: Bun.file(file("cert.pem")),
        key: Bun.file(file("key.pem")),
        ca: Bun.file(file("me.pem")),
        requestCert: true,
        rejectUnauthorized: true,
      },
      fetch: () => new Response("known"),
    });
    try {
      const own = `https://127.0.0.1:${mutual.port}/`;
      const tls = { ca: file("cert.pem"), cert: file("me.pem"), key: file("me.key") };
      expect((await send({ url: own, tls }))["body"]).toBe("known");
      expect((await rejection(send({ url: own, tls: { ca: file("cert.pem") } }))).code).toBe("HTTP_UNREACHABLE");
    } finally {
      await mutual.stop(true);
    }
  });
});

describe("through a proxy", () => {
  test("what the proxy itself answers is HTTP_UNREACHABLE, also when a status would not fail; a denial names its grant", async () => {
    const proxy = createServer((socket) => {
      socket.on("error", () => undefined);
      const answers = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nProxy-Status: workflow\r\nContent-Length: 6\r\n\r\nreason`);
      socket.once("data", (head: Buffer) => answers(head.toString().includes("down.") ? "502 Bad Gateway" : "403 Forbidden"));
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as { port: number };
    const script = `
      const { sendRequest } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/actions/http/request.ts"))});
      const context = { workdir: ${JSON.stringify(folder)}, signal: new AbortController().signal };
      for (const url of ["http://api.example.test/a", "https://api.example.test/a", "http://down.test/", "https://down.test/"])
        await sendRequest({ url, failOnStatus: false }, context)
          .catch(({ code, hint, retryable }) => console.log(JSON.stringify({ code, hint, retryable })));`;
    const proxyUrl = `http://x:token@127.0.0.1:${port}`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: {
        PATH: "/usr/bin:/bin",
        HTTP_PROXY: proxyUrl,
        HTTPS_PROXY: proxyUrl,
        http_proxy: proxyUrl,
        https_proxy: proxyUrl,
        NO_PROXY: "",
        no_proxy: "",
      },
      stdout: "pipe",
    });
    const lines = (await new Response(child.stdout).text()).trim().split("\n");
    proxy.close();
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { code: "HTTP_UNREACHABLE", hint: 'Grant it: network: ["api.example.test:80"].', retryable: false },
      { code: "HTTP_UNREACHABLE", retryable: false },
      { code: "HTTP_UNREACHABLE", retryable: true },
      { code: "HTTP_UNREACHABLE", retryable: true },
    ]);
  });
});

describe("what it asks for", () => {
  const asks = (inputs: JsonObject) => findCoreAction("core/http.request")?.asks?.(inputs);
  test("the URL's host and port, its files, and nothing while they are unknown", () => {
    expect(asks({ url: "https://API.example.com/x" })).toEqual({ network: ["api.example.com:443"], filesystem: { read: [] } });
    expect(asks({ url: "http://[::1]:8080" })?.network).toEqual(["[::1]:8080"]);
    expect(asks({ url: "https://api.example.com/{{ inputs.a }}" })?.network).toEqual(["api.example.com:443"]);
    for (const url of ["{{ vars.url }}", "https://{{ vars.host }}/x", "https://api.{{ vars.x }}", "https://h:{{ p }}/", "nonsense", 5, undefined])
      expect(asks({ url } as JsonObject)?.network).toEqual([]);
    expect(
      asks({ url: "http://a.b/", redirectHosts: ["c.d:443"], file: "./up.bin", multipart: [{ name: "x", file: "part" }], tls: { ca: "/ca.pem" } }),
    ).toEqual({
      network: ["a.b:80", "c.d:443"],
      filesystem: { read: ["./up.bin", "$workspace/part", "/ca.pem"] },
    });
    expect(asks({ url: "http://a.b/", multipart: "{{ x }}", tls: "{{ y }}", redirectHosts: "{{ z }}" })?.network).toEqual(["a.b:80"]);
  });
});
