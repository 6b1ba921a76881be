export * from "./attempt-log.ts";
export * from "./cut-mark.ts";
export * from "./line-splitter.ts";
