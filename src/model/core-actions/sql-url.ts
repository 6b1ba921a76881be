// Where a database is: `sqlite:PATH` or a path alone, or `postgres://user:password@host:port/database?sslmode=…`.
import { parseOpenUrl } from "./open-url.ts";

const sslModes = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

export type SqlPlace =
  | { driver: "sqlite"; path: string }
  | {
      driver: "postgres";
      /** IPv6 addresses in brackets. */
      host: string;
      port: number;
      user: string | null;
      password: string | null;
      database: string | null;
      /** Absent in the URL: null. */
      sslMode: SslMode | null;
      /** Names of the URL's query that are not known. */
      unknown: string[];
    };

/** The place that a URL names, null when it names none or its host is not known yet. */
export function placeOfSqlUrl(url: unknown): SqlPlace | null {
  if (typeof url !== "string") return null;
  const file = /^sqlite:(?:\/\/)?(.+)$/s.exec(url)?.[1];
  if (file !== undefined) return { driver: "sqlite", path: file };
  if (url === ":memory:" || isPlainPath(url)) return { driver: "sqlite", path: url };
  const parsed = /^postgres(?:ql)?:\/\//.test(url) ? parseOpenUrl(url) : null;
  if (parsed === null || parsed.hostname === "") return null;
  const mode = parsed.searchParams.get("sslmode");
  const sslMode = sslModes.find((known) => known === mode) ?? null;
  return {
    driver: "postgres",
    host: parsed.hostname.toLowerCase(),
    port: parsed.port === "" ? 5432 : Number(parsed.port),
    user: decoded(parsed.username),
    password: decoded(parsed.password),
    database: decoded(parsed.pathname.slice(1)),
    sslMode,
    unknown: [...parsed.searchParams.keys()].filter((name) => name !== "sslmode" || sslMode === null),
  };
}

/** Something with a slash or an ending, and without a scheme. What begins with an expression may have one. */
function isPlainPath(url: string): boolean {
  return /[/.]/.test(url) && !/^(?:[A-Za-z][A-Za-z0-9+.-]*:|\{\{)/.test(url) && !url.includes("\0");
}

function decoded(text: string): string | null {
  if (text === "") return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
