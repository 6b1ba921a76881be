// What the manifests need of their neighbours, wired in app.
import type { JsonObject } from "../../base/index.ts";

/** Why a JSON Schema cannot be used, null when it can: the language has the one checker of schemas. */
export type FindSchemaProblem = (schema: JsonObject) => string | null;
