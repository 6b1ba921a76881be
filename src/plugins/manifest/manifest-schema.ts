// The form of plugin.yaml as a schema: types, names and bounds. What needs more than one value is checked in parse-manifest.ts.
import { type Static, Type } from "@sinclair/typebox";
import { durationFormat } from "../../config/index.ts";
import { limits } from "../../base/index.ts";

const strict = { additionalProperties: false } as const;
const name = (what: string) => Type.String({ pattern: "^[a-z0-9-]{1,64}$", "x-expects": `${what} of a-z, 0-9 and - (at most 64)` });
const line = Type.String({ maxLength: 2000 });
const entries = Type.Array(Type.String({ minLength: 1, maxLength: 1000 }), { maxItems: 200 });
const count = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** https://semver.org, sections 2, 9 and 10. */
const number = "(0|[1-9]\\d*)";
const label = "(0|[1-9]\\d*|\\d*[A-Za-z-][\\dA-Za-z-]*)";
const semanticVersion = `^${number}\\.${number}\\.${number}(-${label}(\\.${label})*)?(\\+[\\dA-Za-z-]+(\\.[\\dA-Za-z-]+)*)?$`;

const PermissionsForm = Type.Object(
  {
    network: Type.Optional(entries),
    filesystem: Type.Optional(Type.Object({ read: Type.Optional(entries), write: Type.Optional(entries) }, strict)),
    env: Type.Optional(
      Type.Array(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$", "x-expects": "the name of a variable", maxLength: 200 }), { maxItems: 200 }),
    ),
    run: Type.Optional(Type.Boolean()),
    listen: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), { maxItems: 200 })),
    memoryMb: Type.Optional(count),
    cpuSeconds: Type.Optional(count),
    processes: Type.Optional(count),
    openFiles: Type.Optional(count),
    diskMb: Type.Optional(count),
    outputBytes: Type.Optional(count),
  },
  strict,
);

const JsonSchemaForm = Type.Record(Type.String(), Type.Unknown());

const ActionForm = Type.Object(
  {
    name: name("a name"),
    description: Type.Optional(line),
    input: Type.Optional(JsonSchemaForm),
    output: Type.Optional(JsonSchemaForm),
    idempotent: Type.Optional(Type.Boolean()),
    timeout: Type.Optional(Type.String({ format: durationFormat })),
    permissions: Type.Optional(PermissionsForm),
  },
  strict,
);

export const ManifestForm = Type.Object(
  {
    namespace: name("a namespace"),
    name: name("a name"),
    version: Type.String({
      pattern: semanticVersion,
      "x-expects": "a semantic version such as 1.2.0",
      maxLength: 100,
    }),
    description: Type.Optional(line),
    author: Type.Optional(line),
    license: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+| [A-Za-z0-9.+()-]+)*$|^\\([A-Za-z0-9.+() -]+\\)$",
        "x-expects": "an SPDX expression such as MIT",
        maxLength: 200,
      }),
    ),
    homepage: Type.Optional(Type.String({ pattern: "^https?://[^\\s]+$", "x-expects": "a URL", maxLength: 2000 })),
    runtime: Type.Union([Type.Literal("bun"), Type.Literal("exec"), Type.Literal("docker")]),
    entrypoint: Type.Union([
      Type.String({ minLength: 1, maxLength: 4096 }),
      Type.Array(Type.String({ maxLength: 4096 }), { minItems: 1, maxItems: 100 }),
    ]),
    engines: Type.Optional(Type.Object({ workflow: Type.String({ minLength: 1, maxLength: 200 }) }, strict)),
    permissions: Type.Optional(PermissionsForm),
    keepWarm: Type.Optional(Type.Integer({ minimum: 0, maximum: 64 })),
    actions: Type.Array(ActionForm, { minItems: 1, maxItems: limits.pluginActionsMax }),
  },
  strict,
);
export type ManifestValues = Static<typeof ManifestForm>;
