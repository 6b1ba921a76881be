export * from "./config.ts";
export * from "./environment.ts";
export * from "./load.ts";
export * from "./places.ts";
export * from "./process-stamp.ts";
export * from "./rows.ts";
export * from "./schema-problems.ts";
export * from "./server-file.ts";
export { type Setting, settings } from "./settings.ts";
