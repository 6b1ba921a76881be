// `core/sql.query`: one statement, or several in one transaction, as {rows, rowCount, columns, truncated}.
import { writeFileSync } from "node:fs";
import { type Json, type JsonObject, limits } from "../../base/index.ts";
import { placeOfSqlUrl } from "../../model/index.ts";
import type { ActionContext } from "../shared/context.ts";
import { failure, inputError } from "../shared/failure.ts";
import { artifactForm, newArtifact } from "../shared/left-file.ts";
import { runPostgres, type TlsInput } from "./postgres.ts";
import type { StatementResult } from "./rows.ts";
import { runSqlite } from "./sqlite.ts";
import { readStatement } from "./statement.ts";

type Params = Json[] | JsonObject;
type SqlInput = {
  url: string;
  password?: string;
  query?: string;
  params?: Params;
  statements?: (string | { query: string; params?: Params })[];
  readOnly?: boolean;
  maxRows?: number;
  saveAs?: string;
  tls?: TlsInput;
};

const rowsDefault = 10_000;
/** The rest of the output has to fit beside the rows. */
const inlineBytesMax = limits.outputBytesMax - 64 * 1024;

/** @throws SQL_FAILED, SQL_UNREACHABLE, TASK_INPUT_INVALID, FILE_NOT_FOUND, TOO_LARGE */
export async function queryDatabase(given: JsonObject, context: ActionContext): Promise<JsonObject> {
  const input = given as unknown as SqlInput;
  const { url, query, params, statements, readOnly = false, maxRows = rowsDefault } = input;
  const place = placeOfSqlUrl(url);
  if (place === null)
    throw inputError(
      "Cannot open a database: the URL is none of sqlite:PATH, a path such as ./data/x.db, :memory: and postgres://user@host:port/database",
    );
  if ((query === undefined) === (statements === undefined)) throw inputError("Cannot run a query: give either query or statements");
  if (statements !== undefined && params !== undefined) throw inputError("Cannot run statements: params stand with each of them");
  const list = (statements ?? []).map((one) => (typeof one === "string" ? { query: one } : one));
  const all = query === undefined ? list : [{ query, ...(params === undefined ? {} : { params }) }];
  const ready = all.map((one) => readStatement(place.driver, one.query, one.params));
  const ask = { readOnly, isTransaction: statements !== undefined || readOnly, maxRows };
  const results =
    place.driver === "sqlite"
      ? runSqlite({ ...ask, path: place.path }, ready)
      : await runPostgres(
          {
            ...ask,
            place,
            password: input.password ?? null,
            tls: input.tls ?? {},
            target: context.forward(place.host.replace(/^\[|\]$/g, ""), place.port),
          },
          ready,
        );
  return shape(results, { isList: statements !== undefined, saveAs: input.saveAs, workdir: context.workdir });
}

type Shape = { isList: boolean; saveAs: string | undefined; workdir: string };

function shape(results: StatementResult[], { isList, saveAs, workdir }: Shape): JsonObject {
  const last = results.at(-1) ?? { rows: [], rowCount: 0, columns: [], truncated: false };
  if (saveAs !== undefined) {
    const text = JSON.stringify(last.rows);
    const { name, path } = newArtifact(workdir, saveAs, "rows.json");
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    const sha256 = new Bun.CryptoHasher("sha256").update(text).digest("hex");
    return { ...last, rows: [], file: artifactForm({ name, sha256, size: Buffer.byteLength(text), contentType: "application/json" }) };
  }
  const output: JsonObject = isList ? { ...last, results } : last;
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= inlineBytesMax) return output;
  throw failure("TOO_LARGE", `Cannot give the rows: they take ${bytes} bytes, more than ${inlineBytesMax}`, {
    details: { bytes, rows: last.rows.length },
    hint: "Keep them as an artifact with saveAs, or lower maxRows.",
    retryable: false,
  });
}
