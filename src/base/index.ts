export * from "./clock.ts";
export * from "./duration.ts";
export * from "./errors.ts";
export * from "./hash.ts";
export * from "./ids.ts";
export * from "./json.ts";
export * from "./limits.ts";
export * from "./version.ts";
