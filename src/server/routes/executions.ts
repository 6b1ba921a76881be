// Executions: start, list, inspect, task runs, logs.
import { type Static, Type } from "@sinclair/typebox";
import type { LogStreamQuery } from "../../app/index.ts";
import { type JsonObject, parseDuration, parseTime } from "../../base/index.ts";
import {
  ExecutionListSchema,
  ExecutionSchema,
  executionStates,
  LogPageSchema,
  logSources,
  StartedSchema,
  TaskRunListSchema,
  taskStates,
} from "../../model/index.ts";
import { jsonAnswer, streamAnswer } from "../http/answer.ts";
import { requireScope } from "../http/authenticate.ts";
import { Levels, Offset, paging, Text, Time, Wait } from "../http/formats.ts";
import { type BodyForm, type Call, route, type Route } from "../route.ts";
import { endFrame, eventFrame } from "../streams/frame.ts";
import { executionId, workflowId } from "./path-params.ts";

const tag = "executions";
const oneOf = <T extends string>(values: readonly T[]) => Type.Union(values.map((value) => Type.Literal(value)));
const strict = { additionalProperties: false } as const;
const uuidV7 = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";

const StartBody = Type.Object(
  {
    inputs: Type.Optional(Type.Unsafe<JsonObject>(Type.Record(Type.String(), Type.Unknown()))),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    executionId: Type.Optional(Type.String({ pattern: uuidV7, "x-expects": "a UUID of version 7 in lower case" })),
    revision: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  strict,
);
const StartQuery = Type.Object({ wait: Type.Optional(Wait) }, strict);
const ListQuery = Type.Object(
  {
    workflow: Type.Optional(Text("A workflow's id.")),
    state: Type.Optional(Type.Array(oneOf(executionStates), { description: "States, separated by commas." })),
    trigger: Type.Optional(Text("A trigger's type or id.")),
    since: Type.Optional(Time("Created then or later.")),
    until: Type.Optional(Time("Created before then.")),
    label: Type.Optional(Text("A label's name, or name=value.")),
    offset: Type.Optional(Offset),
    ...paging,
  },
  strict,
);
const InspectQuery = Type.Object(
  {
    include: Type.Optional(
      Type.Array(oneOf(["inputs", "timeline", "trace"]), {
        description: "Further parts, separated by commas; trace needs the scope trace:read too.",
      }),
    ),
  },
  strict,
);
const TasksQuery = Type.Object(
  { taskId: Type.Optional(Text("A task's id.")), state: Type.Optional(Type.Array(oneOf(taskStates))), ...paging },
  strict,
);
const logFilter = {
  taskId: Type.Optional(Text("A task's id.")),
  level: Type.Optional(Levels),
  source: Type.Optional(Type.Array(oneOf(logSources), { description: "Sources, separated by commas." })),
  since: Type.Optional(Time("Written then or later.")),
  search: Type.Optional(Text("Literal text in the message.")),
};
const LogQuerySchema = Type.Object({ ...logFilter, order: Type.Optional(oneOf(["asc", "desc"])), offset: Type.Optional(Offset), ...paging }, strict);
const LogStreamSchema = Type.Object(
  { ...logFilter, sinceId: Type.Optional(Type.Integer({ minimum: 0, description: "Only after this id." })) },
  strict,
);

type StartCall = Call<"id", Static<typeof StartQuery>, Static<typeof StartBody>>;

async function start({ facade, params, query, body, idempotencyKey, request, state }: StartCall) {
  const waitMs = query.wait === undefined ? null : parseDuration(query.wait);
  if (waitMs !== null) state.keepOpen(request);
  const { inputs = {}, ...rest } = body;
  const { started, execution } = await facade.startExecution({
    workflow: params.id,
    inputs,
    ...rest,
    ...(idempotencyKey === null ? {} : { idempotencyKey }),
    ...(waitMs === null ? {} : { waitMs }),
  });
  const headers = { location: `/api/v1/executions/${started.executionId}` };
  return execution === null ? jsonAnswer(started, 202, headers) : jsonAnswer(execution, 200, headers);
}

const startBody: BodyForm<typeof StartBody> = { types: ["application/json"], read: "json", schema: StartBody, optional: true };
const starting = {
  method: "POST",
  tag,
  scope: "workflow:run",
  params: { id: workflowId },
  query: StartQuery,
  body: startBody,
  idempotent: true,
  answers: {
    202: { means: "It was started.", schema: StartedSchema },
    200: { means: "With `wait`: it has ended.", schema: ExecutionSchema },
  },
  handler: start,
} as const;

const showing: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/executions",
    summary: "List executions, newest first",
    tag,
    scope: "execution:read",
    query: ListQuery,
    answers: { 200: { means: "A page of executions.", schema: ExecutionListSchema } },
    handler: async ({ facade, query: { since, until, ...query } }) =>
      jsonAnswer(await facade.listExecutions({ ...query, ...instant("since", since), ...instant("until", until) })),
  }),
  route({
    method: "GET",
    path: "/api/v1/executions/:id",
    summary: "Inspect an execution and its task runs",
    tag,
    scope: "execution:read",
    params: { id: executionId },
    query: InspectQuery,
    answers: { 200: { means: "The execution.", schema: ExecutionSchema } },
    handler: async ({ facade, params, query, caller }) => {
      // The events hold more than the execution shows.
      if (query.include?.includes("trace") === true) requireScope(caller, "trace:read");
      return jsonAnswer(await facade.getExecution({ id: params.id, ...query }));
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/executions/:id/tasks",
    summary: "List an execution's task runs",
    tag,
    scope: "execution:read",
    params: { id: executionId },
    query: TasksQuery,
    answers: { 200: { means: "A page of task runs.", schema: TaskRunListSchema } },
    handler: async ({ facade, params, query }) => jsonAnswer(await facade.listTaskRuns({ executionId: params.id, ...query })),
  }),
];

const logs: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/executions/:id/logs",
    summary: "List an execution's log lines, newest first",
    tag,
    scope: "execution:read",
    params: { id: executionId },
    query: LogQuerySchema,
    answers: { 200: { means: "A page of log lines.", schema: LogPageSchema } },
    handler: async ({ facade, params, query }) => jsonAnswer(await facade.listLogs({ executionId: params.id, ...withLogFilter(query) })),
  }),
  route({
    method: "GET",
    path: "/api/v1/executions/:id/logs/stream",
    summary: "Follow an execution's log lines until it ends",
    tag,
    scope: "execution:read",
    params: { id: executionId },
    query: LogStreamSchema,
    resumable: true,
    answers: { 200: { means: "One log line per event; `end` is the last event.", schema: Type.String(), types: ["text/event-stream"] } },
    handler: async (call) => {
      const { facade, params, query, lastEventId, request, requestId, state, caller } = call;
      // The status line goes out before the first log line, so absence is found out now.
      await facade.listLogs({ executionId: params.id, limit: 1 });
      const { sinceId, ...filter } = query;
      const from = lastEventId ?? sinceId;
      const wanted: LogStreamQuery = { executionId: params.id, ...withLogFilter(filter), ...(from === undefined ? {} : { sinceId: from }) };
      state.keepOpen(request);
      const frames = (signal: AbortSignal) => logFrames(facade.streamLogs(wanted, signal));
      return streamAnswer(state.streams.open({ keyId: caller.keyId, requestId, signal: request.signal, frames }));
    },
  }),
];

async function* logFrames(items: ReturnType<Call["facade"]["streamLogs"]>): AsyncGenerator<string> {
  for await (const item of items) yield eventFrame(item.id, JSON.stringify(item));
  yield endFrame;
}

function withLogFilter<T extends { since?: string; level?: string }>({ since, level, ...rest }: T) {
  return { ...rest, ...(level === undefined ? {} : { level: level.toUpperCase() }), ...instant("since", since) };
}

// The query was checked, so the text is a time.
function instant<K extends string>(name: K, text: string | undefined): { [key in K]?: number } {
  const at = text === undefined ? null : parseTime(text);
  return (at === null ? {} : { [name]: at }) as { [key in K]?: number };
}

export const executionRoutes: readonly Route[] = [
  route({ ...starting, path: "/api/v1/workflows/:id/executions", summary: "Start an execution" }),
  route({ ...starting, path: "/api/v1/workflows/:id/trigger", summary: "Start an execution, by its other name" }),
  ...showing,
  ...logs,
];
