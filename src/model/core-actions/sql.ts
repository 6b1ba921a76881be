// SQLite and PostgreSQL.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { type BareFolder, pathEntries } from "./path-entry.ts";
import { placeOfSqlUrl } from "./sql-url.ts";

const params: JsonObject = {
  type: ["array", "object"],
  description: "A list for $1, $2 (PostgreSQL) or ? (SQLite), or an object for :name (both).",
};
const statement: JsonObject = { anyOf: [{ type: "string", minLength: 1 }, closed({ query: { type: "string", minLength: 1 }, params }, ["query"])] };

const input = closed(
  {
    url: {
      type: "string",
      minLength: 1,
      description: "sqlite:./data/x.db or the path alone, :memory:, or postgres://user@host:5432/database?sslmode=verify-full.",
    },
    password: { type: "string", description: "PostgreSQL's, rather than in the URL." },
    query: { type: "string", minLength: 1 },
    params,
    statements: { type: "array", items: statement, minItems: 1, maxItems: 1000, description: "Instead of query: all of them in one transaction." },
    readOnly: { type: "boolean", description: "True: the database refuses to change anything." },
    maxRows: { type: "integer", minimum: 0, maximum: 1_000_000, description: "Further rows are left out, and truncated is true. Default: 10000." },
    saveAs: { type: "string", minLength: 1, description: "Keeps the rows as a JSON artifact of this name instead of in the output." },
    tls: closed({
      ca: { type: "string", description: "A PEM text, or the path of a file with one." },
      cert: text,
      key: text,
      serverName: { type: "string", description: "The name in the server's certificate, where it is not the host." },
    }),
    files,
  },
  ["url"],
);

const rows: JsonObject = { type: "array", items: { type: "object" } };
const columns: JsonObject = { type: "array", items: text };
const counts: JsonObject = {
  rows,
  rowCount: { type: "integer", description: "Rows given, or changed where the statement gives none." },
  columns,
  truncated: { type: "boolean" },
};

const output = closed(
  {
    ...counts,
    file: { type: "object", description: "The artifact of the rows {name, uri, size}, with saveAs." },
    results: { type: "array", items: closed(counts, ["rows", "rowCount", "columns", "truncated"]), description: "With statements: of each of them." },
    artifacts: { type: "array" },
  },
  ["rows", "rowCount", "columns", "truncated"],
);

/** The folder of a path, null for that of bare ones: SQLite keeps its journals beside the database. */
function folderOf(path: string): string | null {
  const slash = path.lastIndexOf("/");
  if (slash > 0) return path.slice(0, slash);
  return slash === 0 ? "/" : null;
}

function asks({ url, readOnly, tls }: JsonObject, bare: BareFolder = "$workspace"): Permissions {
  const place = placeOfSqlUrl(url);
  if (place === null || (place.driver === "sqlite" && place.path === ":memory:")) return {};
  if (place.driver === "sqlite") {
    const folders = place.path.includes("{{") ? [] : pathEntries([folderOf(place.path) ?? bare], bare);
    return { filesystem: readOnly === true ? { read: folders } : { write: folders } };
  }
  const { ca, cert, key } = (typeof tls === "object" && tls !== null ? tls : {}) as Record<string, unknown>;
  const pems = [ca, cert, key].filter((one) => typeof one === "string" && !one.includes("-----BEGIN"));
  return { network: [`${place.host}:${place.port}`], filesystem: { read: pathEntries(pems, bare) } };
}

export const sqlActions: readonly ActionDescription[] = [
  {
    action: "core/sql.query",
    description: "Runs SQL statements on SQLite or PostgreSQL.",
    input,
    output,
    // Whether a statement may be repeated is known only to who wrote it.
    idempotent: false,
    runsIn: "process",
    available: true,
    asks,
  },
];
