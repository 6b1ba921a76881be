// State and counts of the server, as JSON for people and programs and as Prometheus text.
import { Type } from "@sinclair/typebox";
import { StatusSchema } from "../../model/index.ts";
import { jsonAnswer, textAnswer } from "../http/answer.ts";
import { route, type Route } from "../route.ts";
import { renderMetrics } from "./metrics.ts";

const tag = "status";
/** Prometheus text exposition format 0.0.4. */
const metricsType = "text/plain; version=0.0.4; charset=utf-8";

export const statusRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/status",
    summary: "State and counts",
    tag,
    scope: "execution:read",
    answers: { 200: { means: "The server's state.", schema: StatusSchema } },
    handler: async ({ facade }) => jsonAnswer(await facade.status()),
  }),
  route({
    method: "GET",
    path: "/metrics",
    summary: "Metrics for Prometheus",
    tag,
    scope: "execution:read",
    answers: { 200: { means: "The metrics.", schema: Type.String(), types: ["text/plain"] } },
    handler: async ({ facade, state }) => textAnswer(renderMetrics(await facade.status(), state), { type: metricsType }),
  }),
];
