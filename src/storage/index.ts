export * from "./changes.ts";
export * from "./ports.ts";
export { type CopySummary, describeSqliteCopy, holdSqlite } from "./sqlite/backup.ts";
export { inspectSqlite, type StoreInspection } from "./sqlite/inspect.ts";
export { openSqliteStore, type SqliteOptions } from "./sqlite/open.ts";
