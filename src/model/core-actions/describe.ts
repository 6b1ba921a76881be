// How a built-in action is described: name, schemas, where it runs, and what its inputs imply that it needs.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import type { BareFolder } from "./path-entry.ts";

/** One action of a plugin or of the engine, as validation and inspection need it. */
export type ActionDescription = {
  /** `namespace/plugin.action` */
  action: string;
  description: string;
  /** JSON Schema of the inputs, and of the output. */
  input: JsonObject;
  output: JsonObject;
  /** Whether a lost attempt may be repeated blindly. */
  idempotent: boolean;
  runsIn: "engine" | "process";
  /** False for an action that this version knows by name only. */
  available: boolean;
  /** It brings a container image of its own. */
  hasImage?: true;
  /** What a built-in asks for, implied by its inputs (`core/http.request`: the URL's host); absent for scripts, which ask for everything,
   * and for the engine's own. At plan time inputs may be missing, or hold expressions. `bare`: where bare paths start. */
  asks?: (inputs: JsonObject, bare?: BareFolder) => Permissions;
};

export const anything: JsonObject = { type: "object" };
export const text: JsonObject = { type: "string" };
/** Every action outside the engine takes it (plugins.md, Artifacts). */
export const files: JsonObject = {
  type: "object",
  additionalProperties: { type: "string" },
  description: "Artifacts to put into the work folder as in/<name>: name to artifact:<sha256>.",
};

export function closed(properties: JsonObject, required: string[] = []): JsonObject {
  return { type: "object", properties, required, additionalProperties: false };
}

/** A built-in that this version knows by name only; any inputs are taken, so that workflows can be written for it. */
export function later(action: string, description: string): ActionDescription {
  return { action, description, input: anything, output: anything, idempotent: false, runsIn: "process", available: false };
}
