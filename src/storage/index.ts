export * from "./changes.ts";
export * from "./ports.ts";
export { openSqliteStore, type SqliteOptions } from "./sqlite/open.ts";
