// What can be done to an execution that exists.
import { type TSchema, Type } from "@sinclair/typebox";
import type { CommandAnswer, ResolveRequest } from "../../app/index.ts";
import { RestartedSchema, StartedSchema } from "../../model/index.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type BodyForm, route, type Route } from "../route.ts";
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
const answers = { 202: { means: "It will be done.", schema: StartedSchema }, 200: { means: "It was so already.", schema: StartedSchema } };

const toAnswer = ({ already, started }: CommandAnswer) => jsonAnswer(started, already ? 200 : 202);

export const executionCommandRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/api/v1/executions/:id/cancel",
    summary: "Cancel an execution",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    answers,
    handler: async ({ facade, params }) => toAnswer(await facade.cancelExecution(params.id)),
  }),
  route({
    method: "POST",
    path: "/api/v1/executions/:id/pause",
    summary: "Pause an execution: running tasks end, none start",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    answers,
    handler: async ({ facade, params }) => toAnswer(await facade.pauseExecution(params.id)),
  }),
  route({
    method: "POST",
    path: "/api/v1/executions/:id/resume",
    summary: "Resume a paused execution",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    answers,
    handler: async ({ facade, params }) => toAnswer(await facade.resumeExecution(params.id)),
  }),
  route({
    method: "POST",
    path: "/api/v1/executions/:id/resolve",
    summary: "Say what became of a task whose outcome is unknown",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    body: jsonBody(ResolveBody),
    answers,
    handler: async ({ facade, params, body }) => toAnswer(await facade.resolveTask({ id: params.id, ...(body as Omit<ResolveRequest, "id">) })),
  }),
  route({
    method: "POST",
    path: "/api/v1/executions/:id/restart",
    summary: "Start an ended execution again, reusing its results",
    tag,
    scope: "execution:write",
    params: { id: executionId },
    body: optional(RestartBody),
    answers: { 202: { means: "The new execution.", schema: RestartedSchema } },
    handler: async ({ facade, params, body }) => jsonAnswer(await facade.restartExecution({ id: params.id, ...body }), 202),
  }),
];
