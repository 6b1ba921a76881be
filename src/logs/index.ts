export * from "./attempt-log.ts";
export * from "./line-splitter.ts";
