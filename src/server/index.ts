export * from "./listen.ts";
export * from "./reference/openapi.ts";
export * from "./route.ts";
export * from "./route-table.ts";
export * from "./router.ts";
export * from "./server.ts";
export * from "./streams/timers.ts";
