export * from "./masker.ts";
export * from "./texts.ts";
export * from "./vault.ts";
