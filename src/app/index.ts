export * from "./app.ts";
export * from "./facade.ts";
export { openApp } from "./open.ts";
export { osUserName, systemClock, systemIds } from "./system.ts";
