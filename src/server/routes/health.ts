// Whether the server lives and is ready; for everyone, and as cheap as can be.
import { Type } from "@sinclair/typebox";
import { carpVersion, fail, traceVersion, version } from "../../base/index.ts";
import { textAnswer } from "../http/answer.ts";
import { publicRoute, type Route } from "../route.ts";
import type { ServerState } from "../server-state.ts";

const tag = "health";
const HealthSchema = Type.Object({ status: Type.Literal("ok"), version: Type.String(), uptimeMs: Type.Integer() });
const ReadySchema = Type.Object({ status: Type.Literal("ready"), version: Type.String() });
const AgentHealthSchema = Type.Object({
  status: Type.Literal("healthy"),
  version: Type.String(),
  carp_version: Type.String(),
  trace_version: Type.String(),
  uptime_seconds: Type.Integer(),
});

const json = { type: "application/json" };
const uptimeMs = (state: ServerState): number => Math.max(0, state.clock.now() - state.startedAt);

export const healthRoutes: readonly Route[] = [
  publicRoute({
    method: "GET",
    path: "/health",
    summary: "The server lives",
    tag,
    answers: { 200: { means: "It does.", schema: HealthSchema } },
    handler: async ({ state }) => textAnswer(`{"status":"ok","version":"${version}","uptimeMs":${uptimeMs(state)}}`, json),
  }),
  publicRoute({
    method: "GET",
    path: "/health/ready",
    summary: "The store is open and recovery is done",
    tag,
    answers: { 200: { means: "It is; otherwise 503 NOT_READY.", schema: ReadySchema } },
    refusals: [503],
    handler: async ({ state }) => {
      if (state.stopping || !state.app.ready) throw fail("NOT_READY", `Cannot take work: the server is ${state.stopping ? "stopping" : "starting"}`);
      return textAnswer(`{"status":"ready","version":"${version}"}`, json);
    },
  }),
  publicRoute({
    method: "GET",
    path: "/v1/health",
    summary: "The server lives, with the protocol versions that agents ask for",
    tag,
    answers: { 200: { means: "It does.", schema: AgentHealthSchema } },
    handler: async ({ state }) => {
      const seconds = Math.floor(uptimeMs(state) / 1000);
      const versions = `"version":"${version}","carp_version":"${carpVersion}","trace_version":"${traceVersion}"`;
      return textAnswer(`{"status":"healthy",${versions},"uptime_seconds":${seconds}}`, json);
    },
  }),
];
