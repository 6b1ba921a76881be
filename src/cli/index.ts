export * from "./cli.ts";
export * from "./command.ts";
export * from "./io.ts";
export * from "./registry.ts";
