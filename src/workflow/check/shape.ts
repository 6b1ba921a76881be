// The vocabulary in which the form of a workflow is described. One description drives three things: the check of a source,
// the "did you mean" of unknown keys, and the JSON Schema for editors; so they cannot disagree.

export type TextShape = { is: "text"; pattern?: RegExp; means?: string; oneOf?: readonly string[]; max?: number; min?: number };
export type KeysShape = { is: "keys"; keys: Readonly<Record<string, Key>> /** How messages name it, such as "a task". */; name: string };

export type Shape =
  | TextShape
  | { is: "integer"; min?: number; max?: number }
  | { is: "number" }
  | { is: "boolean" }
  /** Becomes milliseconds. */
  | { is: "duration"; min?: number }
  /** Any JSON value; `object` takes maps only. */
  | { is: "json" }
  | { is: "object" /** Whether its strings may hold expressions; only for the schema's description. */; templates?: boolean }
  | { is: "list"; of: Shape; min?: number; max?: number }
  | { is: "map"; of: Shape; key?: RegExp; keyMeans?: string; max?: number }
  | KeysShape
  /** Keys that depend on the value of one of them. */
  | { is: "variants"; by: string; name: string; of: Readonly<Record<string, KeysShape>> }
  /** The first shape whose YAML kind fits. */
  | { is: "either"; of: readonly Shape[] };

export type Key = { shape: Shape; required?: boolean; about: string };

/** The YAML kinds that a shape can be written as. */
export function kindsOf(shape: Shape): string[] {
  switch (shape.is) {
    case "text":
    case "duration":
      return ["text"];
    case "integer":
    case "number":
      return ["number"];
    case "boolean":
      return ["boolean"];
    case "list":
      return ["list"];
    case "json":
      return ["text", "number", "boolean", "list", "map", "null"];
    case "either":
      return shape.of.flatMap(kindsOf);
    default:
      return ["map"];
  }
}
