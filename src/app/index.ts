export * from "./app.ts";
export * from "./doctor/index.ts";
export * from "./facade.ts";
export { openApp } from "./open.ts";
export { readPluginFolder } from "./plugin-admin.ts";
export { createRegistry, storePlugins } from "./registry.ts";
export { describeBuiltIn, unapproved } from "./verbs/index.ts";
export { osUserName, systemClock, systemIds } from "./system.ts";
