export * from "./catalogue/index.ts";
export * from "./context.ts";
export * from "./ledger.ts";
export { artifactOf, readBlob, readColumn, restorePayload } from "./payload.ts";
export * from "./query.ts";
export * from "./verify.ts";
