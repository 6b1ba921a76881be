// Loading the configuration: where it is found, who wins, what is refused and where the finger points.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CodedError, isCoded } from "../../../src/base/index.ts";
import { type ConfigFlags, configRows, type LoadedConfig, loadConfig } from "../../../src/config/index.ts";
import type { Diagnostic } from "../../../src/model/index.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "config-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (path: string, text: string): string => {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
};
const load = (flags: ConfigFlags = {}, env: Record<string, string> = {}): LoadedConfig =>
  loadConfig({ flags, env: { HOME: root, ...env }, cwd: root });
const refusal = (run: () => unknown): CodedError => {
  try {
    run();
  } catch (thrown) {
    if (isCoded(thrown)) return thrown;
    throw thrown;
  }
  throw new Error("nothing was refused");
};
const diagnosticsOf = (error: CodedError): Diagnostic[] => (error.details?.["diagnostics"] ?? []) as Diagnostic[];
const findings = (error: CodedError) => diagnosticsOf(error).map(({ code, path, line, column }) => ({ code, path, line, column }));

test("defaults hold without a file, and each says so", () => {
  const loaded = load();
  expect(loaded.file).toBeNull();
  expect(loaded.config.server.port).toBe(7433);
  expect(loaded.config.policies.requireApprovalFor).toEqual(["high", "critical"]);
  expect(new Set(Object.values(loaded.sources))).toEqual(new Set(["default"]));
  expect(loaded.storePath).toBe(join(root, ".local/share/autokestra/autokestra.db"));
});

test("flag beats environment beats file beats default", () => {
  write("autokestra.yaml", "server: { port: 1001, host: 127.0.0.2 }\nexecution: { maxConcurrentTasks: 7 }\n");
  const env = { WORKFLOW_SERVER_PORT: "1002", WORKFLOW_EXECUTION_MAX_CONCURRENT_TASKS: "8" };
  const loaded = load({ set: { "server.port": 1003 } }, env);
  expect([loaded.config.server.port, loaded.config.execution.maxConcurrentTasks, loaded.config.server.host]).toEqual([1003, 8, "127.0.0.2"]);
  expect(loaded.config.execution.maxConcurrentWorkflows).toBe(10);
  expect(configRows(loaded)).toMatchObject({
    "server.port": { value: 1003, source: "flag" },
    "execution.maxConcurrentTasks": { value: 8, source: "env" },
    "server.host": { value: "127.0.0.2", source: "file" },
    "execution.maxConcurrentWorkflows": { value: 10, source: "default" },
  });
  expect(load({ set: { "server.port": "1004" } }, env).config.server.port).toBe(1004);
});

test("lists and maps come as JSON from the environment, null as the word", () => {
  const env = {
    WORKFLOW_PLUGINS_PATHS: '["/a","b"]',
    WORKFLOW_SERVER_TLS: '{"cert":"c.pem","key":"/k.pem"}',
    WORKFLOW_STORAGE_RETENTION_DAYS: "9",
    WORKFLOW_EXECUTION_DEFAULT_TIMEOUT_SECONDS: "null",
    WORKFLOW_ATLASES: '{"a":"1.0.0"}',
    WORKFLOW_SERVER_INSECURE: "true",
    WORKFLOW_STORAGE_PATH: "x/y.db",
  };
  const { config, storePath } = load({}, env);
  expect(config.plugins.paths).toEqual(["/a", join(root, "b")]);
  expect(config.server.tls).toEqual({ cert: join(root, "c.pem"), key: "/k.pem" });
  expect(config.storage.retentionDays).toBe(9);
  expect(config.execution.defaultTimeoutSeconds).toBeNull();
  expect(config.atlases).toEqual({ a: "1.0.0" });
  expect(config.server.insecure).toBe(true);
  expect(storePath).toBe(join(root, "x/y.db"));
});

test("names of no setting are ignored and listed", () => {
  const { ignoredEnv } = load({}, { WORKFLOW_SERVER_PROT: "1", WORKFLOW_DIR: "/x", OTHER: "1", WORKFLOW_SERVER_PORT: "5" });
  expect(ignoredEnv).toEqual(["WORKFLOW_DIR", "WORKFLOW_SERVER_PROT"]);
});

test.each([
  ["WORKFLOW_SERVER_PORT", "70000", "BAD_VALUE", "server.port"],
  ["WORKFLOW_SERVER_PORT", "80a", "WRONG_TYPE", "server.port"],
  ["WORKFLOW_SERVER_PORT", "", "WRONG_TYPE", "server.port"],
  ["WORKFLOW_SERVER_HOST", "", "BAD_VALUE", "server.host"],
  ["WORKFLOW_SERVER_INSECURE", "yes", "WRONG_TYPE", "server.insecure"],
  ["WORKFLOW_PLUGINS_PATHS", "[1]", "WRONG_TYPE", "plugins.paths[0]"],
  ["WORKFLOW_PLUGINS_PATHS", "a,b", "WRONG_TYPE", "plugins.paths"],
  ["WORKFLOW_EXECUTION_KILL_GRACE", "soon", "BAD_DURATION", "execution.killGrace"],
  ["WORKFLOW_STORAGE_TYPE", "postgresql", "BAD_VALUE", "storage.type"],
  ["WORKFLOW_LOGGING_LEVEL", "loud", "BAD_VALUE", "logging.level"],
  ["WORKFLOW_SERVER_TLS", '{"cert":"a"}', "MISSING_KEY", "server.tls.key"],
])("%s=%s is CONFIG_INVALID", (name, value, code, path) => {
  const error = refusal(() => load({}, { [name]: value }));
  expect(error.code).toBe("CONFIG_INVALID");
  expect(diagnosticsOf(error).map((one) => [one.code, one.path, one.file])).toEqual([[code as Diagnostic["code"], path, name]]);
});

test("everything wrong in a file is told at once, each with its place", () => {
  write(
    "autokestra.yaml",
    `server:
  prot: 80
  port: many
  tls: { cert: a, kye: b }
storag: {}
trace:
  checkpointSeconds: 0
execution: { killGrace: 5 parsecs }
plugins: []
`,
  );
  const error = refusal(load);
  expect(error.code).toBe("CONFIG_INVALID");
  expect(findings(error).toSorted((a, b) => a.line - b.line || a.column - b.column)).toEqual([
    { code: "UNKNOWN_KEY", path: "server.prot", line: 2, column: 3 },
    { code: "WRONG_TYPE", path: "server.port", line: 3, column: 9 },
    { code: "MISSING_KEY", path: "server.tls.key", line: 4, column: 8 },
    { code: "UNKNOWN_KEY", path: "server.tls.kye", line: 4, column: 19 },
    { code: "UNKNOWN_KEY", path: "storag", line: 5, column: 1 },
    { code: "BAD_VALUE", path: "trace.checkpointSeconds", line: 7, column: 22 },
    { code: "BAD_DURATION", path: "execution.killGrace", line: 8, column: 25 },
    { code: "WRONG_TYPE", path: "plugins", line: 9, column: 10 },
  ]);
  const hints = diagnosticsOf(error).flatMap(({ path, hint }) => (hint === undefined ? [] : [`${path}: ${hint}`]));
  expect(hints.some((hint) => hint.startsWith("server.prot:") && hint.includes('"port"'))).toBe(true);
  expect(hints.some((hint) => hint.startsWith("storag:") && hint.includes('"storage"'))).toBe(true);
});

test.each([
  ["server: {\n  port: 1\n", "YAML_SYNTAX"],
  ["server:\n  port: 1\n  port: 2\n", "YAML_SYNTAX"],
  ["server: {}\n---\nserver: {}\n", "YAML_SYNTAX"],
  ["a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n", "YAML_LIMIT"],
  ["atlases: &a { x: *a }\n", "YAML_LIMIT"],
  ["- a\n", "WRONG_TYPE"],
])("a file that is no map of settings is refused: %j", (text, code) => {
  write("autokestra.yaml", text);
  const error = refusal(load);
  expect(error.code).toBe("CONFIG_INVALID");
  expect(findings(error)[0]?.code).toBe(code as Diagnostic["code"]);
});

test("empty files and empty sections are fine", () => {
  const path = write("empty.yaml", "");
  expect(load({ config: path }).config.server.port).toBe(7433);
  write("autokestra.yaml", "server:\natlases:\nstorage:\n  # path: x\n");
  expect(load().config.storage.type).toBe("sqlite");
});

test("PostgreSQL is refused by name, wherever it is asked for", () => {
  write("autokestra.yaml", "storage:\n  type: postgresql\n");
  const error = refusal(load);
  expect(error.code).toBe("CONFIG_INVALID");
  expect(findings(error)).toEqual([{ code: "BAD_VALUE", path: "storage.type", line: 2, column: 9 }]);
  expect(error.message).toContain("SQLite");
});

test("the file is found by flag, then variable, then here, then in the user's folder", () => {
  const port = (flags: ConfigFlags = {}, env: Record<string, string> = {}) => load(flags, env).config.server.port;
  write(".config/autokestra/autokestra.yaml", "server: { port: 4 }");
  expect(port()).toBe(4);
  write("xdg/autokestra/autokestra.yaml", "server: { port: 5 }");
  expect(port({}, { XDG_CONFIG_HOME: join(root, "xdg") })).toBe(5);
  expect(port({}, { XDG_CONFIG_HOME: "xdg" })).toBe(4);
  write("autokestra.yaml", "server: { port: 3 }");
  expect(port()).toBe(3);
  write("two.yaml", "server: { port: 2 }");
  expect(port({}, { AUTOKESTRA_CONFIG: "two.yaml" })).toBe(2);
  write("one.yaml", "server: { port: 1 }");
  expect(port({ config: "one.yaml" }, { AUTOKESTRA_CONFIG: "two.yaml" })).toBe(1);
});

test("a named file that is not there is CONFIG_MISSING", () => {
  write("autokestra.yaml", "");
  expect(refusal(() => load({ config: "none.yaml" })).code).toBe("CONFIG_MISSING");
  expect(refusal(() => load({}, { AUTOKESTRA_CONFIG: "none.yaml" })).code).toBe("CONFIG_MISSING");
  expect(refusal(() => load({ config: "." })).code).toBe("CONFIG_MISSING");
});

test("relative paths in a file start at the file's folder", () => {
  const config = write("etc/a.yaml", "server: { tls: { cert: c.pem, key: k.pem } }\nstorage: { path: db/x.db }\npolicies: { files: [p.json] }\n");
  const loaded = load({ config });
  expect(loaded.storePath).toBe(join(root, "etc/db/x.db"));
  expect(loaded.config.server.tls).toEqual({ cert: join(root, "etc/c.pem"), key: join(root, "etc/k.pem") });
  expect(loaded.config.policies.files).toEqual([join(root, "etc/p.json")]);
});

test("the data folder: flag, variable, ./.autokestra if it is there, the user's data folder", () => {
  expect(load().dataDir).toBe(join(root, ".local/share/autokestra"));
  expect(load({}, { XDG_DATA_HOME: join(root, "d") }).dataDir).toBe(join(root, "d/autokestra"));
  mkdirSync(join(root, ".autokestra"));
  expect(load().dataDir).toBe(join(root, ".autokestra"));
  expect(load({}, { AUTOKESTRA_HOME: "home" }).dataDir).toBe(join(root, "home"));
  expect(load({ data: "here" }, { AUTOKESTRA_HOME: "home" }).dataDir).toBe(join(root, "here"));
});

test("secrets are hidden in the rows, and never in a refusal", () => {
  const key = "ak_not_for_any_screen_at_all";
  const item = { name: "ci", key, principal: { type: "service", id: "ci" }, roles: ["viewer"] };
  const loaded = load(
    {},
    { WORKFLOW_SERVER_API_KEYS: JSON.stringify([item]), WORKFLOW_TRACE_EXPORTERS: `[{"id":"x","headers":{"authorization":"${key}"}}]` },
  );
  expect(loaded.config.server.apiKeys[0]?.key).toBe(key);
  expect(JSON.stringify(configRows(loaded))).not.toContain(key);
  expect(configRows(loaded)["server.apiKeys"]?.value).toEqual([{ ...item, key: "***" }]);
  for (const bad of [JSON.stringify([{ ...item, roles: ["king"] }]), JSON.stringify([{ ...item, key: 5, name: key }]), `[${key}`]) {
    const error = refusal(() => load({}, { WORKFLOW_SERVER_API_KEYS: bad }));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(JSON.stringify([error.message, error.details])).not.toContain(key);
  }
});

test("a flag for a setting that does not exist is refused", () => {
  const error = refusal(() => load({ set: { "server.prot": 1 } }));
  expect(findings(error)).toEqual([{ code: "UNKNOWN_KEY", path: "server.prot", line: 1, column: 1 }]);
});

test("server URL, key and the runtime switch come from flags and environment", () => {
  const env = { AUTOKESTRA_SERVER_URL: "http://a", AUTOKESTRA_API_KEY: "k", AUTOKESTRA_DISABLE_RUNTIME: "1" };
  expect(load({}, env)).toMatchObject({ serverUrl: "http://a", apiKey: "k", runtimeDisabled: true });
  expect(load({ server: "http://b", apiKey: "l" }, env)).toMatchObject({ serverUrl: "http://b", apiKey: "l" });
  expect(load({}, { AUTOKESTRA_SERVER_URL: "", AUTOKESTRA_DISABLE_RUNTIME: "0" })).toMatchObject({
    serverUrl: null,
    apiKey: null,
    runtimeDisabled: false,
  });
});

test("[WF-09] the master key comes from the environment, an empty one is none, and no row shows it", () => {
  const env = { AUTOKESTRA_SECRET_KEY: "not for any screen", AUTOKESTRA_SECRET_KEY_OLD: "nor this one" };
  const loaded = load({}, env);
  expect(loaded).toMatchObject({ secretKey: "not for any screen", secretKeyOld: "nor this one" });
  const shown = JSON.stringify([configRows(loaded), loaded.config, loaded.sources, loaded.ignoredEnv]);
  for (const key of Object.values(env)) expect(shown).not.toContain(key);
  for (const none of [{}, { AUTOKESTRA_SECRET_KEY: "", AUTOKESTRA_SECRET_KEY_OLD: "" }])
    expect(load({}, none)).toMatchObject({ secretKey: null, secretKeyOld: null });
});

test("a ceiling of permissions has the form of a workflow's block", () => {
  expect(load().config.plugins.permissions).toBeNull();
  write(
    "autokestra.yaml",
    'plugins: { permissions: { network: ["*.corp:443"], filesystem: { read: [/srv], write: [$workspace] }, memoryMb: 1024 } }\n',
  );
  const ceiling = { network: ["*.corp:443"], filesystem: { read: ["/srv"], write: ["$workspace"] }, memoryMb: 1024 };
  expect(load().config.plugins.permissions).toEqual(ceiling);
  expect(load({}, { WORKFLOW_PLUGINS_PERMISSIONS: '{"network":[]}' }).config.plugins.permissions).toEqual({ network: [] });
  for (const wrong of ['network: ["*:*"]', "filesystem: { read: [./data] }", "filesystem: { write: [$home] }", "memoryMb: 0", "networks: []"]) {
    write("autokestra.yaml", `plugins: { permissions: { ${wrong} } }\n`);
    expect(refusal(() => load()).code).toBe("CONFIG_INVALID");
  }
});
