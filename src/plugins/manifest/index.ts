export { approvalProblem, type AskedEntry, exceedingEntries, type PluginApproval } from "./exceeding.ts";
export { asksOf, describeAction } from "./callable.ts";
export { type ManifestRequest, type ParsedManifest, parseManifest } from "./parse-manifest.ts";
export { ManifestForm } from "./manifest-schema.ts";
export type { FindSchemaProblem } from "./ports.ts";
export { type PluginEntry, PluginRegistry, type RegistryDeps } from "./registry.ts";
export { copyTree, hashTree } from "./tree.ts";
export { renderPluginTypes } from "./type-text.ts";
