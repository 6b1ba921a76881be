export * from "./catalogue.ts";
export type { EventDefinition } from "./define.ts";
