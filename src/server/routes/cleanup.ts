// Removing old executions with their traces.
import { FormatRegistry, Type } from "@sinclair/typebox";
import { parseDuration, parseTime } from "../../base/index.ts";
import { CleanupSchema, TerminalStateSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { route, type Route } from "../route.ts";

const format = "age";
FormatRegistry.Set(format, (text) => parseDuration(text) !== null || (parseTime(text) ?? -1) >= 0);

const CleanupBody = Type.Object(
  {
    olderThan: Type.String({
      minLength: 1,
      maxLength: 100,
      format,
      "x-expects": "a duration such as 30d, or a time",
      description: "What ended then or earlier: so long ago, or at this time.",
    }),
    states: Type.Optional(Type.Array(TerminalStateSchema, { minItems: 1, maxItems: 10, description: "Only what ended so; all by default." })),
    dryRun: Type.Optional(Type.Boolean({ description: "Count, and remove nothing." })),
  },
  { additionalProperties: false },
);

export const cleanupRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/api/v1/executions/cleanup",
    summary: "Remove ended executions with their traces",
    tag: "executions",
    scope: "execution:write",
    body: { types: ["application/json"], read: "json", schema: CleanupBody },
    answers: { 200: { means: "What was removed; `complete` is false where there is more than one request removes.", schema: CleanupSchema } },
    handler: async ({ facade, body, request, state }) => {
      state.keepOpen(request);
      return jsonAnswer(await facade.cleanUpExecutions(body));
    },
  }),
];
