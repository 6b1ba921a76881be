// Bodies: type, size, text and form, each with its own refusal.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Diagnostic } from "../../src/model/index.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server.close());

const source = "# a comment\nid: kept\ntasks:\n  - { id: a, run: 'true' }\n";
const put = (how: { body: unknown; type?: string; headers?: Record<string, string> }) =>
  server.call("PUT", "/api/v1/workflows/kept", { body: how.body, headers: { "content-type": how.type ?? "application/yaml", ...how.headers } });
const mebibyte = 1024 * 1024;

test.each(["application/yaml", "text/yaml; charset=utf-8", "application/x-yaml", "Application/YAML"])("a workflow may come as %s", async (type) => {
  expect([200, 201]).toContain((await put({ body: source, type })).status);
});

test("a workflow's text is kept as it was given, byte for byte, JSON too", async () => {
  const texts = [source, `${source}\r\n# ünïcödé 🦊\n`, '{"id":"kept",\n "tasks":[{"id":"a","run":"true"}]}'];
  for (const text of texts) {
    expect((await put({ body: text, type: text.startsWith("{") ? "application/json" : "text/yaml" })).status).toBeLessThan(300);
    const shown = (await (await server.call("GET", "/api/v1/workflows/kept")).json()) as { source: string; sha256: string };
    expect(shown.source).toBe(text);
    expect(shown.sha256).toBe(new Bun.CryptoHasher("sha256").update(text).digest("hex"));
  }
});

test.each([
  ["text/plain", {}],
  ["", {}],
  ["application/yaml; charset=latin1", {}],
  ["multipart/form-data", {}],
  ["application/yaml", { "content-encoding": "gzip" }],
])("type %j with %j is 415", async (type, headers) => {
  expect(await outcome(put({ body: source, type, headers }))).toBe("415 UNSUPPORTED_MEDIA_TYPE");
});

test("a body that is not UTF-8 is 400", async () => {
  expect(await outcome(put({ body: new Uint8Array([0x69, 0x64, 0xff, 0xfe]) }))).toBe("400 BAD_REQUEST");
});

test("1 MiB is taken, one byte more is not", async () => {
  const comment = (size: number) => source + "#".repeat(size - source.length);
  expect((await put({ body: comment(mebibyte) })).status).toBeLessThan(300);
  expect(await outcome(put({ body: comment(mebibyte + 1) }))).toBe("413 TOO_LARGE");
});

test("an endless body is cut off, not read", async () => {
  let given = 0;
  let isCancelled = false;
  const chunk = new Uint8Array(64 * 1024).fill(0x23);
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      given += chunk.length;
      if (given > 64 * mebibyte) controller.error(new Error("read on and on"));
      else controller.enqueue(chunk);
    },
    cancel() {
      isCancelled = true;
    },
  });
  expect(await outcome(put({ body }))).toBe("413 TOO_LARGE");
  expect(isCancelled).toBe(true);
  expect(given).toBeLessThan(8 * mebibyte);
});

test("a body whose declared length is far beyond the limit is not read at all", async () => {
  let isPulled = false;
  const body = new ReadableStream<Uint8Array>({ pull: () => void (isPulled = true) }, { highWaterMark: 0 });
  expect(await outcome(put({ body, headers: { "content-length": String(64 * mebibyte) } }))).toBe("413 TOO_LARGE");
  expect(isPulled).toBe(false);
});

test("a body that does not fit is 422, each finding with its place", async () => {
  const text = '{\n  "inputs": [],\n  "labels": { "a": 1 },\n  "revsion": 2,\n  "executionId": "x"\n}';
  const answer = await server.call("POST", "/api/v1/workflows/kept/executions", { body: text });
  expect(answer.status).toBe(422);
  const { error } = (await answer.json()) as { error: { code: string; details: { diagnostics: Diagnostic[] } } };
  expect(error.code).toBe("BODY_INVALID");
  const found = error.details.diagnostics.map(({ code, path, line, column }) => [code, path, line, column] as const);
  expect(found.toSorted((a, b) => a[2] - b[2])).toEqual([
    ["WRONG_TYPE", "inputs", 2, 13],
    ["WRONG_TYPE", "labels.a", 3, 20],
    ["UNKNOWN_KEY", "revsion", 4, 3],
    ["BAD_VALUE", "executionId", 5, 18],
  ]);
});

test.each(["[]", "null", '"x"', "1", '{"__proto__":{}}', '{"enabled":"yes"}', "{}"])(
  "%s is no answer to whether a workflow is enabled",
  async (body) => {
    expect(await outcome(server.call("PATCH", "/api/v1/workflows/kept", { body }))).toBe("422 BODY_INVALID");
  },
);

test.each(["", "{", "{'a':1}", '{"a":1} x', "NaN"])("%j is not JSON", async (body) => {
  expect(await outcome(server.call("PATCH", "/api/v1/workflows/kept", { body }))).toBe("400 BAD_REQUEST");
});

test("where a body may be left out, nothing stands for {}", async () => {
  expect(await outcome(server.call("POST", "/api/v1/workflows/kept/executions"))).toBe("202");
  expect(await outcome(server.call("POST", "/api/v1/workflows/kept/executions", { body: "{}" }))).toBe("202");
});

test.each(["/api/v1/secrets/rotate-key", "/api/v1/plugins/reload"])("%s takes no body, and says so to one", async (path) => {
  const post = (body: unknown, type = "application/json") => outcome(server.call("POST", path, { body, headers: { "content-type": type } }));
  expect(await post('{"keep":true}')).toBe("422 BODY_INVALID");
  expect(await post("[]")).toBe("422 BODY_INVALID");
  expect(await post("{")).toBe("400 BAD_REQUEST");
  expect(await post("{}", "text/plain")).toBe("415 UNSUPPORTED_MEDIA_TYPE");
  expect(await post("{}")).toBe("200");
  expect(await outcome(server.call("POST", path))).toBe("200");
});
