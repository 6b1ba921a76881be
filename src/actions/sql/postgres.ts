// PostgreSQL over one connection, reached through the forwarder while TLS verifies the real name.
import { readFileSync } from "node:fs";
import { SQL } from "bun";
import type { Json } from "../../base/index.ts";
import type { SqlPlace, SslMode } from "../../model/index.ts";
import { failure, inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath } from "../shared/paths.ts";
import { floatOf, hasRoundedInteger, integerOf, rowOf, type StatementResult } from "./rows.ts";
import type { Statement } from "./statement.ts";

export type PostgresPlace = Extract<SqlPlace, { driver: "postgres" }>;
export type TlsInput = { ca?: string; cert?: string; key?: string; serverName?: string };
export type PostgresAsk = {
  place: PostgresPlace;
  password: string | null;
  tls: TlsInput;
  target: { host: string; port: number };
  readOnly: boolean;
  isTransaction: boolean;
  maxRows: number;
};

const connectSeconds = 20;
type Column = { name: string; type: number };
type Answer = unknown[][] & { count: number; columns: Column[] };
type Runner = Pick<SQL, "unsafe">;

/** @throws SQL_FAILED, SQL_UNREACHABLE, TASK_INPUT_INVALID */
export async function runPostgres(ask: PostgresAsk, statements: readonly Statement[]): Promise<StatementResult[]> {
  const sql = new SQL(await optionsOf(ask));
  let index = 0;
  const runAll = async (runner: Runner): Promise<StatementResult[]> => {
    const results: StatementResult[] = [];
    for (const statement of statements) {
      index = results.length;
      results.push(await runOne(runner, statement, ask.maxRows));
    }
    return results;
  };
  try {
    if (!ask.isTransaction) return await runAll(sql);
    return await sql.begin(ask.readOnly ? "read only" : "read write", runAll);
  } catch (cause) {
    throw wrapError(cause as PostgresError, ask, statements.length > 1 ? index : null);
  } finally {
    await sql.close({ timeout: 0 });
  }
}

/** Where the server stands on this machine, TLS proves nothing; everywhere else its name is verified unless the URL says otherwise. */
function sslModeOf({ host, sslMode }: PostgresPlace): SslMode {
  return sslMode ?? (/^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(host) ? "disable" : "verify-full");
}

async function optionsOf({ place, password, tls, target }: PostgresAsk): Promise<SQL.PostgresOrMySQLOptions> {
  const [unknown] = place.unknown;
  if (unknown !== undefined) throw inputError(`Cannot use the URL's ${unknown}: it is not known, or has no such value`);
  const mode = sslModeOf(place);
  const user = place.user ?? "postgres";
  const options: SQL.PostgresOrMySQLOptions = {
    adapter: "postgres",
    hostname: target.host,
    port: target.port,
    username: user,
    database: place.database ?? user,
    max: 1,
    connectionTimeout: connectSeconds,
    idleTimeout: 0,
    // The password of the environment or of a file is nobody's that granted it.
    password: password ?? place.password ?? "",
  };
  if (mode === "disable") return { ...options, tls: false };
  const serverName = tls.serverName ?? place.host.replace(/^\[|\]$/g, "");
  const material: Record<string, unknown> = { serverName, rejectUnauthorized: mode === "verify-full" || mode === "verify-ca" };
  if (mode === "verify-ca") material["checkServerIdentity"] = () => undefined;
  for (const name of ["ca", "cert", "key"] as const) {
    const value = tls[name];
    if (value === undefined) continue;
    material[name] = value.includes("-----BEGIN") ? value : await withFileErrors(`read "${value}"`, () => readFileSync(resolvePath(value), "utf8"));
  }
  return { ...options, tls: material as Bun.TLSOptions, ...(mode === "prefer" ? { sslMode: "prefer" } : {}) } as SQL.PostgresOrMySQLOptions;
}

async function runOne(runner: Runner, { query, params }: Statement, maxRows: number): Promise<StatementResult> {
  const answer = (await runner.unsafe(query, params).values()) as unknown as Answer;
  const columns = answer.columns ?? [];
  const names = columns.map(({ name }) => name);
  const rows = answer.slice(0, maxRows).map((values) =>
    rowOf(
      names,
      values.map((value, index) => fromPostgres(value, columns[index])),
    ),
  );
  const isTruncated = answer.length > maxRows;
  return { rows, rowCount: isTruncated ? rows.length : answer.count, columns: names, truncated: isTruncated };
}

/** Types by their number in pg_type. */
const types = { int8: 20, date: 1082, timestamp: 1114, int8s: 1016, dates: 1182, timestamps: 1115, json: [114, 3802, 199, 3807] };

function fromPostgres(value: unknown, column: Column | undefined): Json {
  const type = column?.type ?? 0;
  if (types.json.includes(type) && hasRoundedInteger(value))
    throw failure("SQL_FAILED", `Cannot give the column "${column?.name}": it holds an integer beyond ±(2^53−1) within JSON`, {
      hint: "Select it as text: column::text.",
      retryable: false,
    });
  return convert(value, type);
}

function convert(value: unknown, type: number): Json {
  switch (typeof value) {
    case "string":
      return type === types.int8 || type === types.int8s ? integerOf(BigInt(value)) : value.toWellFormed();
    case "number":
      if (type === types.date || type === types.timestamp) return infinite(value);
      return floatOf(value);
    case "bigint":
      return integerOf(value);
    case "boolean":
      return value;
    case "object":
      return fromObject(value, type);
    default:
      return null;
  }
}

function infinite(value: number): Json {
  return value > 0 ? "infinity" : "-infinity";
}

function fromObject(value: object | null, type: number): Json {
  if (value === null) return null;
  if (value instanceof Date) return fromDate(value, type);
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (Array.isArray(value)) return value.map((item) => convert(item, type));
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, (item) => convert(item, type));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, convert(member, type)]));
}

/** A date without a time, a time without a zone, or a moment. */
function fromDate(value: Date, type: number): Json {
  if (Number.isNaN(value.getTime())) return null;
  const text = value.toISOString();
  if (type === types.date || type === types.dates) return text.slice(0, text.indexOf("T"));
  return type === types.timestamp || type === types.timestamps ? text.slice(0, -1) : text;
}

type PostgresError = Error & { code?: string; errno?: string | number; position?: string; constraint?: string; table?: string; column?: string };

/** SQLSTATE classes that say that there is no session: connection, login, database, resources, shutdown. */
const noSession = /^(?:08|28|3D|53|57P0[123])/;
const worthRetrying = /^(?:08|53|57P0[123]|40001|40P01|55P03)/;

function wrapError(cause: PostgresError, { place }: PostgresAsk, index: number | null): Error {
  const at = `${place.host}:${place.port}`;
  if (cause.name === "CodedError") return cause;
  const state = typeof cause.errno === "string" && /^[0-9A-Z]{5}$/.test(cause.errno) ? cause.errno : null;
  if (state === null || noSession.test(state)) {
    const isTls = /CERT|TLS|SSL|SELF_SIGNED/.test(cause.code ?? "");
    return failure("SQL_UNREACHABLE", `Cannot connect to PostgreSQL at ${at}: ${cause.message}`, {
      details: { target: at, cause: state ?? cause.code ?? null },
      ...(isTls ? { hint: "Give the authority in tls.ca, or choose another sslmode in the URL." } : {}),
      retryable: state === null ? !isTls : worthRetrying.test(state),
    });
  }
  const known = Object.entries({ position: cause.position, constraint: cause.constraint, table: cause.table, column: cause.column });
  return failure("SQL_FAILED", `The database refused a statement: ${cause.message}`, {
    details: {
      sqlState: state,
      ...(index === null ? {} : { statement: index }),
      ...Object.fromEntries(known.filter(([, value]) => value !== undefined && value !== "")),
    },
    retryable: worthRetrying.test(state),
  });
}
