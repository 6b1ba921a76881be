// Refusals of a start never quote what was given: it may be a sensitive input.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { limits } from "../../src/base/index.ts";
import { openTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  const body =
    "id: hidden\ninputs: [{ id: pin, type: number, sensitive: true }, { id: many, type: array, sensitive: true }]\ntasks: [{ id: a, run: 'true' }]\n";
  expect((await server.call("PUT", "/api/v1/workflows/hidden", { body, headers: { "content-type": "application/yaml" } })).status).toBe(201);
});
afterAll(() => server.close());

test("[WF-09] a number beyond I-JSON is told by its place", async () => {
  for (const [body, path] of [
    ['{"inputs":{"pin":123456789012345678901234}}', "pin"],
    ['{"inputs":{"many":[{"a":[1,9007199254740993]}]}}', "many[0].a[1]"],
    ['{"inputs":{"pin":1e400}}', "pin"],
  ] as const) {
    const answer = await server.call("POST", "/api/v1/workflows/hidden/executions", { body, headers: { "content-type": "application/json" } });
    const text = await answer.text();
    expect([answer.status, JSON.parse(text)]).toMatchObject([
      422,
      { error: { code: "INPUT_INVALID", message: expect.stringContaining(`"${path}"`) } },
    ]);
    expect(text).not.toMatch(/1234567|e\+23|90071992|Infinity/);
  }
});

test("[WF-09] more sensitive texts than can be masked are refused", async () => {
  const texts = (count: number) => ({ inputs: { many: Array.from({ length: count }, (_, place) => `t${place}`) } });
  const path = "/api/v1/workflows/hidden/executions";
  const refused = await server.call("POST", path, { body: texts(limits.sensitiveTextsMax + 1) });
  expect([refused.status, await refused.json()]).toMatchObject([422, { error: { code: "INPUT_INVALID" } }]);
  const taken = await server.call("POST", "/api/v1/workflows/hidden/executions", { body: texts(limits.sensitiveTextsMax) });
  expect(taken.status).toBe(202);
});
