export { createNetworkGate } from "./gate.ts";
export type { NetworkGateDeps } from "./gate.ts";
export type { NetworkDecision, NetworkGate, NetworkPass, PassRequest } from "./ports.ts";
