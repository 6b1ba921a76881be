// What every answer has in common, health, and the API's description of itself.
import { afterAll, beforeAll, expect, test } from "bun:test";
import Ajv2020 from "ajv/dist/2020";
import { isUuid } from "../../src/base/index.ts";
import { routes } from "../../src/server/index.ts";
import { openTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server.close());

test("health tells status, version and uptime", async () => {
  server.clock.at += 1500;
  expect(await (await server.call("GET", "/health", { key: null })).json()).toEqual({ status: "ok", version: "0.1.0", uptimeMs: 1500 });
});

test("[CRA-0.01] GET /v1/health: status, version, carp_version, trace_version, uptime_seconds", async () => {
  const fresh = await openTestServer();
  fresh.clock.at += 2999;
  const answer = await fresh.call("GET", "/v1/health", { key: null });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ status: "healthy", version: "0.1.0", carp_version: "1.0", trace_version: "1.0", uptime_seconds: 2 });
  await fresh.close();
});

test("readiness is 503 until recovery is done, and again while the server stops", async () => {
  let ready = false;
  const late = await openTestServer({ wrap: (app) => Object.create(app, { ready: { get: () => ready } }) as typeof app });
  const ask = async () => {
    const answer = await late.call("GET", "/health/ready", { key: null });
    const body = (await answer.json()) as { error?: { code: string } };
    return `${answer.status} ${body.error?.code ?? ""}`;
  };
  expect(await ask()).toBe("503 NOT_READY");
  ready = true;
  expect(await ask()).toBe("200 ");
  await late.server.stop();
  expect(await ask()).toBe("503 NOT_READY");
  expect((await late.call("POST", "/api/v1/workflows/a/executions")).status).toBe(503);
  expect((await late.call("GET", "/health", { key: null })).status).toBe(200);
  await late.close();
});

test("a sane request id is echoed, any other is replaced by one of ours", async () => {
  const idOf = async (given?: string) => {
    const answer = await server.call("GET", "/health", { headers: given === undefined ? {} : { "x-request-id": given } });
    return answer.headers.get("x-request-id") ?? "";
  };
  expect(await idOf("Trace.me_1-2")).toBe("Trace.me_1-2");
  for (const bad of [undefined, "two words", 'a"b', "x".repeat(129), "é"]) expect(isUuid(await idOf(bad))).toBe(true);
});

test("answers are private, typed and open to no other origin", async () => {
  const answer = await server.call("GET", "/api/v1/workflows", { headers: { origin: "https://evil.example" } });
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
});

test("HEAD answers as GET does, without the body", async () => {
  for (const path of ["/health", "/api/v1/workflows", "/v1/traces/stream"]) {
    const answer = await server.call("HEAD", path);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe("");
  }
});

test("long answers are compressed for those who take it", async () => {
  const get = (path: string, accepted: string) => server.call("GET", path, { headers: { "accept-encoding": accepted } });
  const plain = await (await get("/openapi.json", "identity")).text();
  expect(plain.length).toBeGreaterThan(32 * 1024);
  for (const accepted of ["gzip", "br, gzip;q=0.5", "*"]) {
    const answer = await get("/openapi.json", accepted);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.headers.get("vary")).toBe("accept-encoding");
    expect(new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(await answer.arrayBuffer())))).toBe(plain);
  }
  for (const refused of ["gzip;q=0", "br", "*;q=0", "gzip;q=0, *"])
    expect((await get("/openapi.json", refused)).headers.get("content-encoding")).toBeNull();
  expect((await get("/health", "gzip")).headers.get("content-encoding")).toBeNull();
});

type Operation = {
  operationId: string;
  parameters?: { name: string; in: string; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { $ref?: string; description?: string; content?: Record<string, { schema: object }> }>;
  security?: unknown[];
  "x-scope"?: string;
};
type Document = { openapi: string; paths: Record<string, Record<string, Operation>>; components: Record<string, Record<string, object>> };

test("[CRA-X02] the OpenAPI document describes exactly the routes there are, and holds together", async () => {
  const document = (await (await server.call("GET", "/openapi.json", { key: null })).json()) as Document;
  expect(document.openapi).toBe("3.1.0");
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path.replaceAll("{", ":").replaceAll("}", "")}`);
  expect(described.toSorted()).toEqual(routes.map(({ method, path }) => `${method} ${path.replace("*", ":path")}`).toSorted());
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  for (const { path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
    expect((operation.parameters ?? []).filter((one) => one.in === "path").map(({ name }) => name)).toEqual(inPath);
    expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
    expect(operation.security?.length === 0).toBe(operation["x-scope"] === undefined);
    for (const response of Object.values(operation.responses)) expect(response.$ref ?? response.description).toBeString();
  }
  expect(Object.keys(document.paths["/health/ready"]?.["get"]?.responses ?? {})).toContain("503");
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, pointer = ""]) => pointer);
  expect(references.length).toBeGreaterThan(50);
  for (const pointer of references) {
    const target = pointer.split("/").reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document);
    expect(target).toBeObject();
  }
});

test("[CRA-X02] every schema of the document is JSON Schema 2020-12, and real answers fit theirs", async () => {
  const document = (await (await server.call("GET", "/openapi.json")).json()) as Document;
  const ajv = new Ajv2020({ strict: false, formats: { "date-time": true, uuid: true, wait: true, "absolute-path": true, "log-levels": true } });
  ajv.addSchema({ $id: "document", ...document });
  for (const name of Object.keys(document.components["schemas"] ?? {})) expect(ajv.getSchema(`document#/components/schemas/${name}`)).toBeFunction();
  await server.call("PUT", "/api/v1/workflows/shown", {
    body: "id: shown\ntasks: [{ id: a, run: 'true' }]\n",
    headers: { "content-type": "text/yaml" },
  });
  const started = (await (await server.call("POST", "/api/v1/workflows/shown/executions", { body: {} })).json()) as { executionId: string };
  const get = async (path: string) => (await server.call("GET", path)).json();
  const answers: [string, unknown][] = [
    ["Status", await get("/api/v1/status")],
    ["WorkflowList", await get("/api/v1/workflows")],
    ["Workflow", await get("/api/v1/workflows/shown")],
    ["RevisionList", await get("/api/v1/workflows/shown/revisions")],
    ["RevisionDetail", await get("/api/v1/workflows/shown/revisions/1")],
    ["Started", started],
    ["Execution", await get(`/api/v1/executions/${started.executionId}`)],
    ["ExecutionList", await get("/api/v1/executions")],
    ["TaskRunList", await get(`/api/v1/executions/${started.executionId}/tasks`)],
    ["LogPage", await get(`/api/v1/executions/${started.executionId}/logs`)],
    ["KeyList", await get("/api/v1/keys")],
    ["TraceList", await get("/v1/traces")],
    ["ErrorEnvelope", await get("/nope")],
  ];
  for (const [name, answer] of answers) {
    const check = ajv.getSchema(`document#/components/schemas/${name}`);
    expect([name, check?.(answer), check?.errors]).toEqual([name, true, null]);
  }
});

test("the reference page needs nothing from elsewhere and lets nothing else in", async () => {
  const answer = await server.call("GET", "/docs", { key: null });
  const html = await answer.text();
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(html).not.toMatch(/<script|src=|https?:\/\//);
  for (const { path } of routes) expect(html).toContain(`>${path}<`);
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? "";
  const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
  expect(answer.headers.get("content-security-policy")).toContain(`default-src 'none'; style-src 'sha256-${hash}'`);
});

test("metrics are Prometheus text", async () => {
  await server.call("GET", "/nope");
  const answer = await server.call("GET", "/metrics");
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const lines = (await answer.text()).trimEnd().split("\n");
  for (const line of lines) expect(line).toMatch(/^(# (HELP|TYPE) autokestra_[a-z_]+ .+|autokestra_[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[\d.e+]+)$/);
  expect(lines).toContain('autokestra_info{version="0.1.0"} 1');
  expect(lines.some((line) => line.startsWith('autokestra_http_requests_total{method="GET",route="unmatched",status="404"} '))).toBe(true);
  expect(lines.some((line) => line.startsWith("autokestra_trace_events_total "))).toBe(true);
});
