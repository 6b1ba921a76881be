// The API described by itself: the OpenAPI document, and the page that shows it.
import { Type } from "@sinclair/typebox";
import { textAnswer } from "../http/answer.ts";
import { publicRoute, type Route } from "../route.ts";

const tag = "reference";

export const referenceRoutes: readonly Route[] = [
  publicRoute({
    method: "GET",
    path: "/openapi.json",
    summary: "This API as an OpenAPI 3.1 document",
    tag,
    answers: { 200: { means: "The document.", schema: Type.Record(Type.String(), Type.Unknown()) } },
    handler: async ({ state }) => textAnswer(state.reference.openapi(), { type: "application/json" }),
  }),
  publicRoute({
    method: "GET",
    path: "/docs",
    summary: "This API as a page to read",
    tag,
    answers: { 200: { means: "The page.", schema: Type.String(), types: ["text/html"] } },
    handler: async ({ state }) => {
      const { html, policy } = state.reference.page();
      return textAnswer(html, { type: "text/html; charset=utf-8", headers: { "content-security-policy": policy } });
    },
  }),
];
