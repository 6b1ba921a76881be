// Plugins over HTTP, and the approvals that applying a workflow writes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { type Plugin, type PluginList, PluginListSchema, PluginSchema, registerFormats } from "../../src/model/index.ts";
import { openTestServer, outcome, type TestServer } from "./test-server.ts";

registerFormats();
const folder = mkdtempSync(join(tmpdir(), "plugins-"));
let server: TestServer;

beforeAll(async () => {
  putPlugin("acme/report", "1.0.0", "{ network: [a.example.com:443] }");
  putPlugin("acme/quiet", "1.0.0", "{}");
  mkdirSync(join(folder, "acme/broken"));
  writeFileSync(join(folder, "acme/broken/plugin.yaml"), "namespace: acme\nname: broken\n");
  server = await openTestServer({ set: { "plugins.paths": [folder] } });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function putPlugin(id: string, version: string, permissions: string): void {
  const [namespace = "", name = ""] = id.split("/");
  mkdirSync(join(folder, id), { recursive: true });
  const manifest = `namespace: ${namespace}\nname: ${name}\nversion: ${version}\nruntime: bun\nentrypoint: main.ts\npermissions: ${permissions}\n`;
  writeFileSync(join(folder, id, "plugin.yaml"), `${manifest}actions: [{ name: build, input: { type: object, required: [n] } }]\n`);
  writeFileSync(join(folder, id, "main.ts"), "");
}

const list = async (query = "") => (await (await server.call("GET", `/api/v1/plugins${query}`)).json()) as PluginList;
const show = async (id: string) => (await (await server.call("GET", `/api/v1/plugins/${id}`)).json()) as Plugin;

describe("plugins", () => {
  test("are listed by name, built-in, installed and broken ones", async () => {
    const page = await list("?limit=500");
    expect(Value.Check(PluginListSchema, page)).toBe(true);
    const ids = page.plugins.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted());
    expect(ids).toContain("core/shell");
    const of = (id: string) => page.plugins.find((plugin) => plugin.id === id);
    expect(of("core/wait")).toMatchObject({ builtIn: true, valid: true, folder: null, actions: ["for"] });
    expect(of("acme/report")).toMatchObject({ builtIn: false, valid: true, version: "1.0.0", runtime: "bun", actions: ["build"] });
    expect(of("acme/broken")).toMatchObject({ valid: false, version: null, sha256: null, actions: [] });
    expect(of("acme/broken")?.diagnostics.map(({ code }) => code)).toEqual(["MISSING_KEY", "MISSING_KEY", "MISSING_KEY", "MISSING_KEY"]);
  });

  test("come in pages", async () => {
    const first = await list("?limit=2");
    expect(first.plugins.map(({ id }) => id)).toEqual(["acme/broken", "acme/quiet"]);
    const second = await list(`?limit=1&cursor=${first.nextCursor ?? ""}`);
    expect(second.plugins.map(({ id }) => id)).toEqual(["acme/report"]);
  });

  test("are shown with their actions", async () => {
    const plugin = await show("acme/report");
    expect(Value.Check(PluginSchema, plugin)).toBe(true);
    expect(plugin).toMatchObject({ entrypoint: ["main.ts"], permissions: { network: ["a.example.com:443"] }, approvals: [] });
    expect(plugin.actions).toMatchObject([{ action: "acme/report.build", permissions: { network: ["a.example.com:443"] }, available: true }]);
    expect((await show("core/wait")).actions.map(({ action, runsIn }) => [action, runsIn])).toEqual([["core/wait.for", "engine"]]);
    expect(await show("acme/broken")).toMatchObject({ valid: false, actions: [] });
  });

  test("one that is not there is 404, whatever its name", async () => {
    for (const id of ["acme/none", "core/none", "Acme/x", "acme/..%2Freport"])
      expect(await outcome(server.call("GET", `/api/v1/plugins/${id}`))).toBe("404 PLUGIN_NOT_FOUND");
  });

  test("a reload sees what is new, and answers with the list", async () => {
    putPlugin("acme/zero", "1.0.0", "{}");
    const answer = await server.call("POST", "/api/v1/plugins/reload");
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as PluginList).plugins.map(({ id }) => id)).toContain("acme/zero");
  });

  test("need a scope", async () => {
    const { key } = await server.keyWith("execution:read");
    const { key: reader } = await server.keyWith("workflow:read");
    expect(await outcome(server.call("GET", "/api/v1/plugins", { key }))).toBe("403 FORBIDDEN");
    expect(await outcome(server.call("GET", "/api/v1/plugins/acme/report", { key: reader }))).toBe("200");
    expect(await outcome(server.call("POST", "/api/v1/plugins/reload", { key: reader }))).toBe("403 FORBIDDEN");
    expect(await outcome(server.call("GET", "/api/v1/plugins?color=red"))).toBe("400 BAD_REQUEST");
  });
});

describe("approvals", () => {
  const workflow = (id: string, task: string) => `id: ${id}\ntasks:\n  - { id: a, ${task} }\n`;
  const apply = (id: string, source: string, query = "") =>
    server.call("PUT", `/api/v1/workflows/${id}${query}`, { body: source, headers: { "content-type": "application/yaml" } });
  const approvalEvents = async () => {
    const { store } = { store: await server.call("GET", "/v1/traces?subject=system") };
    const { traces } = (await store.json()) as { traces: { trace_id: string }[] };
    const trace = traces[0]?.trace_id ?? "";
    const page = await server.call("GET", `/v1/traces/${trace}/events?event_type=plugin.approved&limit=500`);
    return ((await page.json()) as { events: { payload: Record<string, unknown> }[] }).events.map(({ payload }) => payload);
  };

  test("applying a workflow approves what its plugins ask for then, once", async () => {
    const source = workflow("uses", "type: acme/report.build, inputs: { n: 1 }");
    expect((await apply("uses", source, "?dryRun=true")).status).toBe(200);
    expect(await approvalEvents()).toEqual([]);
    expect((await apply("uses", source)).status).toBe(201);
    expect((await apply("uses", source)).status).toBe(200);
    const plugin = await show("acme/report");
    const payload = { plugin: "acme/report", version: "1.0.0", sha256: plugin.sha256 ?? "", permissions: plugin.permissions, workflow: "uses" };
    expect(await approvalEvents()).toMatchObject([payload]);
    expect(plugin.approvals).toMatchObject([{ workflow: "uses", version: "1.0.0", exceeded: [] }]);
  });

  test("an upgrade that asks for more is not approved by applying again, and shows by how much", async () => {
    putPlugin("acme/report", "1.1.0", "{ network: [a.example.com:443, b.example.com:443] }");
    await apply("uses", `${workflow("uses", "type: acme/report.build, inputs: { n: 2 }")}# changed\n`);
    expect((await show("acme/report")).approvals).toMatchObject([
      { workflow: "uses", version: "1.0.0", exceeded: ['network: ["b.example.com:443"]'] },
    ]);
  });

  test("a person approves it, for one workflow or for all; the newest word counts", async () => {
    const { plugins } = server.app;
    await plugins.approve({ id: "acme/report", workflow: "uses" });
    expect((await show("acme/report")).approvals).toMatchObject([{ workflow: "uses", version: "1.1.0", exceeded: [] }]);
    await plugins.approve({ id: "acme/report", workflow: null });
    expect((await show("acme/report")).approvals.map(({ workflow: name }) => name)).toEqual([null, "uses"]);
    expect(await outcomeOf(plugins.approve({ id: "acme/report", workflow: "none" }))).toBe("WORKFLOW_NOT_FOUND");
    expect(await outcomeOf(plugins.approve({ id: "acme/broken", workflow: null }))).toBe("MANIFEST_INVALID");
    expect(await outcomeOf(plugins.approve({ id: "acme/none", workflow: null }))).toBe("PLUGIN_NOT_FOUND");
  });

  test("a plugin that comes after its workflow was applied is approved by the next apply, although nothing else changes", async () => {
    const source = workflow("early", "type: acme/late.build, inputs: { n: 1 }");
    await apply("early", source);
    putPlugin("acme/late", "2.0.0", "{ run: true }");
    expect((await show("acme/late")).approvals).toEqual([]);
    const answer = await apply("early", source);
    expect(((await answer.json()) as { changed: boolean }).changed).toBe(false);
    expect((await show("acme/late")).approvals).toMatchObject([{ workflow: "early", version: "2.0.0" }]);
  });

  test("inputs that do not fit an installed plugin's schema refuse the apply; the route tells which are known", async () => {
    expect(await outcome(apply("bad", workflow("bad", "type: acme/quiet.build")))).toBe("422 WORKFLOW_INVALID");
    const answer = await server.call("POST", "/api/v1/workflows/validate", {
      body: workflow("x", "type: acme/unknown.build"),
      headers: { "content-type": "application/yaml" },
    });
    const { valid, diagnostics } = (await answer.json()) as { valid: boolean; diagnostics: { code: string; severity: string }[] };
    expect([valid, diagnostics.map(({ code, severity }) => `${severity} ${code}`)]).toEqual([true, ["warning UNKNOWN_ACTION"]]);
  });
});

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (thrown: { code?: string }) => thrown.code ?? "no code",
  );
}
