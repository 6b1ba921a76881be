export * from "./masker.ts";
export * from "./texts.ts";
export { isTurnOver, nextTurn } from "./turns.ts";
export * from "./vault.ts";
