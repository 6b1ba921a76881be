// Loads the configuration: flag over environment over file over default, with who set each value and everything wrong at once.
import { dirname, join, resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { assert, fail } from "../base/index.ts";
import type { Diagnostic } from "../model/index.ts";
import { type Config, ConfigSchema, type ConfigSource, type LoadedConfig } from "./config.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import { listContainerSockets } from "./container-sockets.ts";
import { type Environment, variable } from "./environment.ts";
import { findConfigFile, resolveDataDir } from "./places.ts";
import { postgresProblem } from "./postgres.ts";
import { findSchemaProblems, pathText } from "./schema-problems.ts";
import { readText, type Setting, settings } from "./settings.ts";

export type ConfigFlags = {
  /** `--config` and `--data`. */
  config?: string;
  data?: string;
  /** `--server` and `--api-key`. */
  server?: string;
  apiKey?: string;
  /** Settings by dotted name that a command's own flags set; texts are read as in the environment. */
  set?: Readonly<Record<string, unknown>>;
};

export type ConfigRequest = { flags: ConfigFlags; env: Environment; cwd: string };

type Chosen = { value: unknown; source: ConfigSource };

/**
 * The whole configuration.
 * @throws CONFIG_MISSING when a named file does not exist, CONFIG_INVALID with `details.diagnostics`
 */
export function loadConfig({ flags, env, cwd }: ConfigRequest): LoadedConfig {
  const file = findConfigFile({ named: flags.config, env, cwd });
  const read: ConfigFile = file === null ? { values: {}, diagnostics: [] } : readConfigFile(file);
  const diagnostics = [...read.diagnostics, ...unknownFlags(flags.set ?? {})];
  const chosen = new Map<string, Chosen>();
  for (const setting of settings) {
    const from = readOverride(setting, { flags, env, cwd }, diagnostics);
    chosen.set(
      setting.name,
      from ?? fromFile(setting, read.values) ?? { value: structuredClone(setting.schema.default) as unknown, source: "default" },
    );
  }
  if (diagnostics.length > 0) throw invalid(diagnostics);
  const config = assemble(chosen, { file: file === null ? cwd : dirname(file), cwd });
  const dataDir = resolveDataDir({ named: flags.data, env, cwd });
  return {
    config,
    sources: Object.fromEntries([...chosen].map(([name, { source }]) => [name, source])),
    file,
    ignoredEnv: ignoredNames(env),
    dataDir,
    storePath: config.storage.path ?? join(dataDir, "autokestra.db"),
    serverUrl: flags.server ?? variable(env, "AUTOKESTRA_SERVER_URL"),
    apiKey: flags.apiKey ?? variable(env, "AUTOKESTRA_API_KEY"),
    runtimeDisabled: env["AUTOKESTRA_DISABLE_RUNTIME"] === "1",
    secretKey: variable(env, "AUTOKESTRA_SECRET_KEY"),
    secretKeyOld: variable(env, "AUTOKESTRA_SECRET_KEY_OLD"),
    containerSockets: listContainerSockets(config.plugins.docker.socket, env),
  };
}

/** What a flag or the environment says about a setting; null when they say nothing. Problems go to `diagnostics`. */
function readOverride(setting: Setting, { flags, env }: ConfigRequest, diagnostics: Diagnostic[]): Chosen | null {
  const flag = flags.set?.[setting.name];
  const text = env[setting.env];
  const given = flag === undefined ? text : flag;
  if (given === undefined) return null;
  const source: ConfigSource = flag === undefined ? "env" : "flag";
  const from = source === "env" ? setting.env : "(flags)";
  const refuse = (code: Diagnostic["code"], path: string, message: string): null => {
    diagnostics.push({
      severity: "error",
      code,
      path,
      message: source === "env" ? `${setting.env}: ${message}` : message,
      file: from,
      line: 1,
      column: 1,
    });
    return null;
  };
  const reading = typeof given === "string" ? readText(setting.schema, given) : { ok: true as const, value: given };
  if (!reading.ok) return refuse("WRONG_TYPE", setting.name, `${setting.name} is ${reading.why}`);
  const postgres = setting.name === "storage.type" ? postgresProblem(reading.value) : null;
  if (postgres !== null) return refuse("BAD_VALUE", setting.name, postgres);
  for (const problem of findSchemaProblems(setting.schema, reading.value)) {
    const path = pathText([...setting.name.split("."), ...problem.at]);
    refuse(problem.code, path, problem.message.replace(/^(The value|"") must/, `${setting.name} must`));
  }
  return { value: reading.value, source };
}

function fromFile({ section, key }: Setting, values: Record<string, unknown>): Chosen | null {
  if (!Object.hasOwn(values, section)) return null;
  const held = values[section] as Record<string, unknown>;
  if (key === null) return { value: held, source: "file" };
  return Object.hasOwn(held, key) ? { value: held[key], source: "file" } : null;
}

function unknownFlags(set: Readonly<Record<string, unknown>>): Diagnostic[] {
  const known = new Set(settings.map(({ name }) => name));
  const unknown = Object.keys(set).filter((name) => !known.has(name));
  const at = { file: "(flags)", line: 1, column: 1 };
  return unknown.map((path) =>
    Object.assign({ severity: "error", code: "UNKNOWN_KEY", path, message: `There is no setting "${path}"` } as const, at),
  );
}

function ignoredNames(env: Environment): string[] {
  const known = new Set(settings.map((setting) => setting.env));
  return Object.keys(env)
    .filter((name) => name.startsWith("WORKFLOW_") && !known.has(name))
    .toSorted();
}

function assemble(chosen: ReadonlyMap<string, Chosen>, base: { file: string; cwd: string }): Config {
  const nested: Record<string, unknown> = {};
  for (const { name, section, key } of settings) {
    const value = chosen.get(name)?.value;
    if (key === null) nested[section] = value;
    else nested[section] = { ...(nested[section] as object | undefined), [key]: value };
  }
  assert(Value.Check(ConfigSchema, nested), "the merged configuration fits its schema");
  const folderOf = (name: string): string => (chosen.get(name)?.source === "file" ? base.file : base.cwd);
  return withAbsolutePaths(nested, folderOf);
}

// Paths in a file are relative to the file, so that a configuration works from every folder; others are relative to where the command runs.
function withAbsolutePaths(config: Config, folderOf: (name: string) => string): Config {
  const { server, storage, plugins, policies } = config;
  const tls =
    server.tls === null ? null : { cert: resolve(folderOf("server.tls"), server.tls.cert), key: resolve(folderOf("server.tls"), server.tls.key) };
  return {
    ...config,
    server: { ...server, tls },
    storage: { ...storage, path: storage.path === null ? null : resolve(folderOf("storage.path"), storage.path) },
    plugins: { ...plugins, paths: plugins.paths.map((path) => resolve(folderOf("plugins.paths"), path)) },
    policies: { ...policies, files: policies.files.map((path) => resolve(folderOf("policies.files"), path)) },
  };
}

function invalid(diagnostics: Diagnostic[]): Error {
  const [first] = diagnostics;
  const where =
    first === undefined || first.file.startsWith("(") || first.file.startsWith("WORKFLOW_") ? "" : `${first.file}:${first.line}:${first.column}: `;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  const message = `Cannot use the configuration: ${where}${first?.message ?? "invalid"}${more}`;
  return fail("CONFIG_INVALID", message, { details: { diagnostics }, ...(first?.hint === undefined ? {} : { hint: first.hint }) });
}
