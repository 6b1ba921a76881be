// Values that a schema gives to members which are left out.
import { isObject, type JsonObject } from "../../base/index.ts";
import { setMember } from "../source/raw-node.ts";

/** Schemas come from strangers. */
const depthMax = 32;

/**
 * The value with the `default`s of `properties` where members are missing, also inside of objects that are given. Defaults behind
 * `$ref`, `allOf` and their like are not looked for.
 */
export function withDefaults(schema: JsonObject, value: JsonObject, depth = 0): JsonObject {
  const properties = schema["properties"];
  if (!isObject(properties) || depth > depthMax) return value;
  const filled: JsonObject = { ...value };
  for (const [name, member] of Object.entries(properties)) {
    if (!isObject(member)) continue;
    const inner = member as JsonObject;
    const own = Object.hasOwn(filled, name) ? filled[name] : inner["default"];
    if (own !== undefined) setMember(filled, name, isObject(own) ? withDefaults(inner, own as JsonObject, depth + 1) : own);
  }
  return filled;
}
