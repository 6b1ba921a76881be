export { decidePermissions } from "./decide-permissions.ts";
export * from "./effective.ts";
export { anyVariable, copiedNames, isNeverCopied } from "./environment-entries.ts";
export { type DeniedOperation, findGrant, renderGrant, writePath } from "./grants.ts";
export { type LimitKey, limitKeys } from "./limits.ts";
export { anyNetwork, coversNetwork, findNetworkProblem, meetNetwork } from "./network-entries.ts";
export { coversPath, findPathProblem, isWithin } from "./path-entries.ts";
export { allowsPath, resolveEntries, resolveEntry, type TaskPlaces } from "./places.ts";
