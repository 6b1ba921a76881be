export * from "./artifacts.ts";
export * from "./executions.ts";
export * from "./keys.ts";
export * from "./logs.ts";
export * from "./plugins.ts";
export * from "./secrets.ts";
export * from "./traces.ts";
export * from "./workflows.ts";
