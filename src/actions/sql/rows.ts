// Rows as the output has them: I-JSON, bounded in number.
import { isObject, type Json, type JsonObject } from "../../base/index.ts";

/** The outcome of one statement. */
export type StatementResult = { rows: JsonObject[]; rowCount: number; columns: string[]; truncated: boolean };

/** A row by column names; of two columns of the same name the last counts. */
export function rowOf(columns: readonly string[], values: readonly Json[]): JsonObject {
  const row: JsonObject = {};
  columns.forEach((name, index) =>
    Object.defineProperty(row, name, { value: values[index] ?? null, enumerable: true, configurable: true, writable: true }),
  );
  return row;
}

export function integerOf(value: bigint): Json {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** Floats as JSON has them; what it has not, as text. A whole number this large stays exact as text only. */
export function floatOf(value: number): Json {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)) ? value : String(value);
}

/** Whether a value parsed from JSON holds an integer that was rounded when it was parsed. */
export function hasRoundedInteger(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  if (Array.isArray(value)) return value.some(hasRoundedInteger);
  return isObject(value) && Object.values(value).some(hasRoundedInteger);
}
