// How a domain declares an event type: its payload's schema, its severity, and what it folds to.
import { type Static, type TObject, type TProperties, Type } from "@sinclair/typebox";
import { canonicalJson, parseTime } from "../../base/index.ts";
import type { EventDraft, Severity } from "../../model/index.ts";
import type { RowChange } from "../../storage/index.ts";

export type EventDefinition = {
  type: string;
  severity: Severity;
  payload: TObject;
  /** What the event means for people; docs/reference/events.md prints it. */
  means: string;
  /** The rows it changes. Must take every form that an older version wrote. */
  project(event: EventDraft): RowChange[];
};

/** Declares one type; `project` sees the payload typed by the schema. */
export function defineEvent<P extends TProperties>(definition: {
  type: string;
  severity?: Severity;
  means: string;
  payload: P;
  project?: (payload: Static<TObject<P>>, event: EventDraft) => RowChange[];
}): EventDefinition {
  const { project } = definition;
  return {
    type: definition.type,
    severity: definition.severity ?? "info",
    means: definition.means,
    payload: Type.Object(definition.payload) as TObject,
    project: (event) => (project === undefined ? [] : project(event.payload as Static<TObject<P>>, event)),
  };
}

export const Text = Type.String();
export const Id = Type.String({ minLength: 1 });
export const Uuid = Type.String({ format: "uuid" });
export const Time = Type.String({ format: "date-time" });
export const Sha256 = Type.String({ pattern: "^[0-9a-f]{64}$" });
export const NullableText = Type.Union([Type.String(), Type.Null()]);
/** Said where masking changed the value: the true one is kept sealed beside the ledger. */
export const Sealed = Type.Optional(Type.Literal(true));
export const AnyJson = Type.Unknown();
export const ErrorPayload = Type.Object({ code: Type.String(), kind: Type.String(), message: Type.String() }, { additionalProperties: true });
export const PrincipalPayload = Type.Object({ type: Type.String(), id: Type.String() });
/** A stored JSON column: in canonical form, so that folding the stored event again gives the same text. */
export const text = (value: unknown): string => canonicalJson(value);
export const NullableTime = Type.Union([Time, Type.Null()]);
/** A column of plain text; null for a text so large that it became a blob. */
export const plain = (value: unknown): string | null => (typeof value === "string" ? value : null);
/** Absolute milliseconds of a payload's time; null where there is none. */
export const millis = (value: string | null | undefined): number | null => (typeof value === "string" ? parseTime(value) : null);
