// CSV into rows. Lines are read as they come, so that a large file with a small selection costs little memory.
import { createReadStream } from "node:fs";
import papaparse from "papaparse";
import { fail, type Json, type JsonObject, limits } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath } from "../shared/paths.ts";

type Request = {
  path?: string;
  text?: string;
  delimiter?: string;
  quote?: string;
  header?: boolean;
  columns?: string[];
  types?: Record<string, "string" | "number" | "integer" | "boolean">;
  offset?: number;
  limit?: number;
  skipEmpty?: boolean;
};

type Row = Record<string, Json> | Json[];

/** Leaves room for the frame around the rows. */
const rowsBytesMax = limits.outputBytesMax - 16 * 1024;

/** `core/csv.read`: {path or text, delimiter?, header?, columns?, types?, offset?, limit?} → {columns, rows, count, truncated}.
 * @throws FILE_NOT_FOUND, TASK_FAILED with the line, TOO_LARGE */
export async function readCsv(input: JsonObject): Promise<JsonObject> {
  const request = input as Request;
  if ((request.path === undefined) === (request.text === undefined))
    throw fail("TASK_INPUT_INVALID", "Cannot read CSV: exactly one of path and text is needed");
  return withFileErrors(`read "${request.path ?? "text"}"`, () => collect(request));
}

async function collect(request: Request): Promise<JsonObject> {
  const { offset = 0, limit, header = true } = request;
  let columns: string[] | null = header ? null : (request.columns ?? null);
  const rows: Row[] = [];
  let index = 0;
  let line = 0;
  let bytes = 0;
  let isTruncated = false;
  await eachRecord(request, (record) => {
    line += 1;
    if (columns === null && header) {
      columns = request.columns ?? uniqueNames(record);
      return true;
    }
    if (columns !== null && record.length !== columns.length) throw badRecord(line, `${record.length} fields instead of ${columns.length}`);
    index += 1;
    if (index <= offset) return true;
    if (limit !== undefined && rows.length >= limit) {
      isTruncated = true;
      return false;
    }
    const row = toRow(record, columns, { types: request.types ?? {}, line });
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes > rowsBytesMax) {
      throw fail("TOO_LARGE", `Cannot return all rows: those up to line ${line} take more than ${rowsBytesMax} bytes`, {
        hint: "Read a part of them by offset and limit.",
      });
    }
    rows.push(row);
    return true;
  });
  return { columns: columns ?? [], rows: rows as Json[], count: rows.length, truncated: isTruncated };
}

/** Calls `take` for every record until it gives false. */
function eachRecord(request: Request, take: (record: string[]) => boolean): Promise<void> {
  const { path, text, delimiter = "", quote = '"', skipEmpty = true } = request;
  return new Promise((resolve, reject) => {
    let failed = false;
    const stop = (cause: unknown, parser: { abort(): void }) => {
      failed = true;
      parser.abort();
      reject(cause);
    };
    const config = {
      delimiter,
      quoteChar: quote,
      skipEmptyLines: skipEmpty ? ("greedy" as const) : false,
      step: ({ data, errors }: papaparse.ParseStepResult<string[]>, parser: papaparse.Parser) => {
        const [error] = errors;
        try {
          if (error !== undefined && error.code !== "UndetectableDelimiter") throw badRecord((error.row ?? 0) + 1, error.message);
          if (!take(data)) parser.abort();
        } catch (cause) {
          stop(cause, parser);
        }
      },
      complete: () => void (failed || resolve()),
    };
    if (text !== undefined) return papaparse.parse<string[]>(withoutMark(text), config);
    const stream = createReadStream(resolvePath(path ?? ""), { encoding: "utf8" });
    stream.once("error", reject);
    papaparse.parse<string[]>(stream, { ...config, beforeFirstChunk: withoutMark });
  });
}

/** A byte order mark is no part of the first name. */
function withoutMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

function uniqueNames(names: string[]): string[] {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw badRecord(1, `the column "${name}" comes twice; name them in columns`);
    seen.add(name);
  }
  return names;
}

function toRow(record: string[], columns: string[] | null, { types, line }: { types: NonNullable<Request["types"]>; line: number }): Row {
  if (columns === null) return record;
  const row: Record<string, Json> = {};
  for (const [index, name] of columns.entries()) {
    const type = Object.hasOwn(types, name) ? (types[name] ?? "string") : "string";
    const value = convert(record[index] ?? "", type, { name, line });
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  }
  return row;
}

function convert(text: string, type: "string" | "number" | "integer" | "boolean", { name, line }: { name: string; line: number }): Json {
  if (type === "string") return text;
  const plain = text.trim();
  if (plain === "") return null;
  if (type === "boolean" && /^(?:true|false)$/i.test(plain)) return plain.toLowerCase() === "true";
  const number = type === "boolean" ? Number.NaN : Number(plain);
  if (Number.isFinite(number) && (type !== "integer" || Number.isSafeInteger(number))) return number;
  throw badRecord(line, `"${plain.slice(0, 100)}" in column "${name}" is no ${type}`);
}

function badRecord(line: number, why: string): Error {
  return fail("TASK_FAILED", `Cannot read CSV, record ${line}: ${why}`, { details: { record: line } });
}
