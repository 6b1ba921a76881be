export * from "./api.ts";
export * from "./core-actions.ts";
export * from "./diagnostic.ts";
export * from "./event.ts";
export * from "./formats.ts";
export * from "./principal.ts";
export * from "./state.ts";
export * from "./workflow.ts";
