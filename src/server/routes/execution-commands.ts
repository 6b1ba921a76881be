// What can be done to an execution that exists: cancel it now; pause, resume, restart and resolve it once the engine can.
import { type TSchema, Type } from "@sinclair/typebox";
import { fail } from "../../base/index.ts";
import { StartedSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type BodyForm, nothingBody, route, type Route } from "../route.ts";
import { executionId } from "./path-params.ts";

const tag = "executions";
const strict = { additionalProperties: false } as const;
const jsonBody = <B extends TSchema>(schema: B): BodyForm<B> => ({ types: ["application/json"], read: "json", schema });
const optional = <B extends TSchema>(schema: B): BodyForm<B> => ({ ...jsonBody(schema), optional: true });

const RestartBody = Type.Object({ from: Type.Optional(Type.String({ minLength: 1 })) }, strict);
const ResolveBody = Type.Object(
  {
    taskId: Type.String({ minLength: 1 }),
    itemIndex: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
    as: Type.Union([Type.Literal("succeeded"), Type.Literal("failed"), Type.Literal("retry")]),
    output: Type.Optional(Type.Unknown()),
  },
  strict,
);
const CleanupBody = Type.Object(
  {
    olderThan: Type.String({ minLength: 1, description: "A duration, or a time." }),
    states: Type.Optional(Type.Array(Type.Union([Type.Literal("SUCCESS"), Type.Literal("FAILED"), Type.Literal("CANCELLED")]))),
    dryRun: Type.Optional(Type.Boolean()),
  },
  strict,
);
const answers = { 202: { means: "It will be done.", schema: StartedSchema }, 200: { means: "It was so already.", schema: StartedSchema } };

type Later = { path: `/api/v1/executions/:id/${string}`; verb: string; body: BodyForm };

const later = ({ path, verb, body }: Later): Route =>
  route<`/api/v1/executions/:id`, never, TSchema>({
    method: "POST",
    path: path as "/api/v1/executions/:id",
    summary: `${verb} an execution`,
    tag,
    scope: "execution:write",
    params: { id: executionId },
    body,
    answers,
    handler: async ({ facade, params }) => {
      await facade.getExecution({ id: params.id });
      throw fail("NOT_AVAILABLE_YET", `Cannot ${verb.toLowerCase()} execution "${params.id}": this version cannot do that yet`);
    },
  });

export const executionCommandRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/api/v1/executions/:id/cancel",
    summary: "Cancel an execution",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    answers,
    handler: async ({ facade, params }) => {
      const { already, started } = await facade.cancelExecution(params.id);
      return jsonAnswer(started, already ? 200 : 202);
    },
  }),
  later({ path: "/api/v1/executions/:id/pause", verb: "Pause", body: nothingBody }),
  later({ path: "/api/v1/executions/:id/resume", verb: "Resume", body: nothingBody }),
  later({ path: "/api/v1/executions/:id/restart", verb: "Restart", body: optional(RestartBody) }),
  later({ path: "/api/v1/executions/:id/resolve", verb: "Resolve", body: jsonBody(ResolveBody) }),
  route({
    method: "POST",
    path: "/api/v1/executions/cleanup",
    summary: "Remove old executions with their traces",
    tag,
    scope: "execution:write",
    body: jsonBody(CleanupBody),
    answers: { 200: { means: "What was removed.", schema: Type.Unknown() } },
    handler: async () => {
      throw fail("NOT_AVAILABLE_YET", "Cannot clean up executions: this version cannot do that yet");
    },
  }),
];
