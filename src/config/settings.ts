// The settings one by one, taken from the schema: dotted name, environment variable, and text to value.
import { Kind, type TObject, type TSchema } from "@sinclair/typebox";
import { ConfigSchema } from "./config.ts";

export type Setting = {
  /** `server.port`; sections that are maps themselves have no dot. */
  name: string;
  section: string;
  /** Null for a section that is a map itself. */
  key: string | null;
  schema: TSchema;
  /** `WORKFLOW_SERVER_PORT`. */
  env: string;
};

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = Object.entries(ConfigSchema.properties as Record<string, TSchema>).flatMap(([section, schema]) =>
  schema[Kind] === "Object"
    ? Object.entries((schema as TObject).properties).map(([key, member]) => settingOf(section, key, member))
    : [settingOf(section, null, schema)],
);

function settingOf(section: string, key: string | null, schema: TSchema): Setting {
  const name = key === null ? section : `${section}.${key}`;
  const env = `WORKFLOW_${name.replace(/[A-Z]/g, "_$&").replace(".", "_").toUpperCase()}`;
  return { name, section, key, schema, env };
}

export type Reading = { ok: true; value: unknown } | { ok: false; why: string };

/** The value that a text from the environment or a flag stands for; what does not fit is left to the schema's check. */
export function readText(schema: TSchema, text: string): Reading {
  const options = schema["anyOf"] as TSchema[] | undefined;
  if (options !== undefined) {
    const others = options.filter((option) => option["type"] !== "null");
    if (others.length < options.length && text === "null") return { ok: true, value: null };
    const [only] = others;
    return others.length === 1 && only !== undefined ? readText(only, text) : { ok: true, value: text };
  }
  switch (schema["type"]) {
    case "integer":
      return { ok: true, value: /^-?\d{1,15}$/.test(text) ? Number(text) : text };
    case "boolean":
      return { ok: true, value: text === "true" ? true : text === "false" ? false : text };
    case "array":
    case "object":
      return readJson(text);
    default:
      return { ok: true, value: text };
  }
}

function readJson(text: string): Reading {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, why: "not JSON" };
  }
}
