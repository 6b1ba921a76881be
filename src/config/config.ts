// The configuration's shape with its defaults; `load.ts` finds the values and says who set each.
import { FormatRegistry, type Static, Type } from "@sinclair/typebox";
import { parseDuration } from "../base/index.ts";
import { findNetworkProblem, findPathProblem, PrincipalSchema, registerFormats, type Role, roles, scopes } from "../model/index.ts";

// For the times among the settings.
registerFormats();

/** Name of the TypeBox format that durations in the configuration carry. */
export const durationFormat = "duration-text";
FormatRegistry.Set(durationFormat, (text) => parseDuration(text) !== null);

const networkFormat = "network-entry";
FormatRegistry.Set(networkFormat, (text) => findNetworkProblem(text) === null);
const pathFormat = "path-entry";
// Many workflows share a server: there is no folder that a relative entry could start from.
FormatRegistry.Set(pathFormat, (text) => !findPathProblem(text).relative && findPathProblem(text).problem === null);

const strict = { additionalProperties: false } as const;
const Duration = (fallback: string) => Type.String({ default: fallback, format: durationFormat, description: "A duration such as 30s, 5m, 1h." });
const Limit = Type.Optional(Type.Integer({ minimum: 1 }));
const Paths = Type.Optional(
  Type.Array(
    Type.String({ format: pathFormat, "x-expects": "an absolute path, or one that starts with $workspace, $workdir, $input, $plugin or $worktree" }),
  ),
);

/** The form of a workflow's block. */
const CeilingSchema = Type.Object(
  {
    network: Type.Optional(Type.Array(Type.String({ format: networkFormat, "x-expects": "host:port, *.host:port, host:* or cidr:port" }))),
    filesystem: Type.Optional(Type.Object({ read: Paths, write: Paths }, strict)),
    env: Type.Optional(Type.Array(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }))),
    run: Type.Optional(Type.Boolean()),
    listen: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }))),
    memoryMb: Limit,
    cpuSeconds: Limit,
    processes: Limit,
    openFiles: Limit,
    diskMb: Limit,
    outputBytes: Limit,
  },
  strict,
);
const KeyName = Type.String({ minLength: 1, maxLength: 200 });
// What fits into a header as one word; who chooses a key himself is to choose a long one.
const SeededKey = Type.String({ pattern: "^[\\x21-\\x7e]{20,200}$", "x-expects": "20 to 200 visible ASCII characters without blanks" });
const RoleName = Type.Union((Object.keys(roles) as Role[]).map((role) => Type.Literal(role)));
const ScopeName = Type.Union(scopes.map((scope) => Type.Literal(scope)));
/** A key as `POST /api/v1/keys` takes it, with the key itself; that it has a role or a scope is seen when it is stored. */
const SeededKeySchema = Type.Object(
  {
    name: Type.Optional(KeyName),
    key: SeededKey,
    principal: PrincipalSchema,
    roles: Type.Optional(Type.Array(RoleName)),
    scopes: Type.Optional(Type.Array(ScopeName)),
    expiresAt: Type.Optional(Type.Union([Type.Null(), Type.String({ format: "date-time", "x-expects": "a time such as 2030-01-31T00:00:00Z" })])),
  },
  strict,
);

/** Every key, its type, bounds and default; docs/reference/config.md and `config show` are made from this. */
export const ConfigSchema = Type.Object(
  {
    server: Type.Object(
      {
        host: Type.String({
          default: "127.0.0.1",
          minLength: 1,
          description: "Address to listen on. One that is not loopback needs tls or insecure.",
        }),
        port: Type.Integer({ default: 7433, minimum: 0, maximum: 65535, description: "Port to listen on; 0 takes a free one." }),
        tls: Type.Union([Type.Null(), Type.Object({ cert: Type.String(), key: Type.String() }, strict)], {
          default: null,
          description: "PEM files.",
        }),
        insecure: Type.Boolean({ default: false, description: "Allow plain HTTP on an address that is not loopback." }),
        apiKeys: Type.Array(SeededKeySchema, {
          default: [],
          description: [
            "Keys that the start of a server stores: name, key, principal {type, id}, roles, scopes, expiresAt.",
            "Others are made with `workflow key create`.",
          ].join(" "),
        }),
        publicUrl: Type.Union([Type.Null(), Type.String()], { default: null, description: "The URL under which others reach this server." }),
        drainTimeout: Duration("30s"),
      },
      strict,
    ),
    storage: Type.Object(
      {
        type: Type.Union([Type.Literal("sqlite")], { default: "sqlite" }),
        path: Type.Union([Type.Null(), Type.String({ minLength: 1 })], {
          default: null,
          description: "Database file; default <data>/autokestra.db.",
        }),
        durability: Type.Union([Type.Literal("full"), Type.Literal("normal")], {
          default: "full",
          description: "full survives a power loss, normal a crash.",
        }),
        retentionDays: Type.Union([Type.Null(), Type.Integer({ minimum: 1 })], {
          default: null,
          description: "Days that an ended execution is kept, with its trace; null: as long as trace.retentionDays says.",
        }),
      },
      strict,
    ),
    execution: Type.Object(
      {
        maxConcurrentWorkflows: Type.Integer({ default: 10, minimum: 1, maximum: 10_000 }),
        maxConcurrentTasks: Type.Integer({ default: 50, minimum: 1, maximum: 10_000 }),
        defaultTimeoutSeconds: Type.Union([Type.Null(), Type.Integer({ minimum: 1 })], {
          default: null,
          description: "Of executions without a timeout of their own.",
        }),
        killGrace: Duration("5s"),
      },
      strict,
    ),
    plugins: Type.Object(
      {
        paths: Type.Array(Type.String(), { default: [] }),
        sandbox: Type.Union([Type.Literal("enforce"), Type.Literal("off")], { default: "enforce" }),
        runtime: Type.Union([Type.Literal("process"), Type.Literal("docker")], { default: "process" }),
        permissions: Type.Union([Type.Null(), CeilingSchema], {
          default: null,
          description: [
            "The most that any task may do, in the form of a workflow's permissions; a kind of entry that it does not name is not bounded.",
            "Paths are absolute or start with a place.",
          ].join(" "),
        }),
        docker: Type.Object(
          {
            socket: Type.Optional(Type.String({ pattern: "^(unix://)?/." })),
            pull: Type.Optional(Type.Union([Type.Literal("never"), Type.Literal("missing"), Type.Literal("always")])),
            user: Type.Optional(Type.String({ pattern: "^\\d{1,9}:\\d{1,9}$" })),
            cpus: Type.Optional(Type.Number({ minimum: 0.01, maximum: 1024 })),
            image: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
          },
          {
            ...strict,
            default: {},
            description: [
              "socket (else DOCKER_HOST or the usual places), pull (never, missing, always; missing), user (uid:gid), cpus (2),",
              "image (of tasks that name none).",
            ].join(" "),
          },
        ),
      },
      strict,
    ),
    trace: Type.Object(
      {
        checkpointSeconds: Type.Integer({ default: 60, minimum: 1 }),
        retentionDays: Type.Integer({
          default: 30,
          minimum: 1,
          description: "Days that the trace of an ended execution is kept, with the execution, where storage.retentionDays does not say.",
        }),
        exporters: Type.Array(Type.Record(Type.String(), Type.Unknown()), { default: [] }),
        anchors: Type.Array(Type.Record(Type.String(), Type.Unknown()), { default: [] }),
      },
      strict,
    ),
    policies: Type.Object(
      {
        files: Type.Array(Type.String(), { default: [] }),
        defaultRiskTier: Type.Union([Type.Literal("low"), Type.Literal("medium"), Type.Literal("high"), Type.Literal("critical")], {
          default: "medium",
        }),
        requireApprovalFor: Type.Array(Type.String(), { default: ["high", "critical"] }),
      },
      strict,
    ),
    atlases: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
    registry: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
    objectives: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
    logging: Type.Object(
      {
        level: Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")], { default: "info" }),
        format: Type.Union([Type.Literal("text"), Type.Literal("json")], { default: "text" }),
        maxMb: Type.Integer({ default: 10, minimum: 1 }),
        keep: Type.Integer({ default: 5, minimum: 1 }),
      },
      strict,
    ),
  },
  strict,
);
export type Config = Static<typeof ConfigSchema>;

export type ConfigSource = "default" | "file" | "env" | "flag";
/** The configuration with every value in place, who set each (by dotted name), and the folders that follow from it. */
export type LoadedConfig = {
  config: Config;
  sources: Record<string, ConfigSource>;
  /** The file that was read, null when there was none. */
  file: string | null;
  /** `WORKFLOW_*` names in the environment that are no key. */
  ignoredEnv: string[];
  /** Absolute. Created 0700 on first use. */
  dataDir: string;
  /** Absolute path of the database file. */
  storePath: string;
  /** From the environment: AUTOKESTRA_SERVER_URL, AUTOKESTRA_API_KEY, AUTOKESTRA_DISABLE_RUNTIME=1. */
  serverUrl: string | null;
  apiKey: string | null;
  runtimeDisabled: boolean;
  /** AUTOKESTRA_SECRET_KEY, and the one before it, AUTOKESTRA_SECRET_KEY_OLD; no command shows them. */
  secretKey: string | null;
  secretKeyOld: string | null;
  /** Where a container engine may be listening, the preferred place first. */
  containerSockets: string[];
};
