// The facade over HTTP: each verb is a line that says method, path, query and body (http-api.md). Streams resume by themselves.
import { isObject, toIso } from "../../base/index.ts";
import type {
  CommandAnswer,
  ApplyRequest,
  ArtifactRequest,
  EventPage,
  EventQuery,
  EventStreamQuery,
  ExecutionQuery,
  Facade,
  LogQuery,
  LogStreamQuery,
  NewestEvents,
  NewestQuery,
  OpenedArtifact,
  StartAnswer,
  StartRequest,
} from "../../app/index.ts";
import type { Applied, Execution, LogItem, Started } from "../../model/index.ts";
import { type Call, readJson, type RemoteServer, route, send, unreachable } from "./http-client.ts";
import { rawArrayItems } from "./raw-items.ts";
import { streamServerEvents } from "./sse.ts";

/** Every verb of the facade, asked of one server with one key. */
export function createRemoteFacade(server: RemoteServer): Facade {
  const ask = async <T>(call: Call): Promise<T> => readJson<T>(server, await send(server, call));
  return {
    status: () => ask({ method: "GET", path: "/api/v1/status" }),

    listWorkflows: (query) => ask({ method: "GET", path: "/api/v1/workflows", query }),
    getWorkflow: (id) => ask({ method: "GET", path: route`/api/v1/workflows/${id}` }),
    listRevisions: (id, query) => ask({ method: "GET", path: route`/api/v1/workflows/${id}/revisions`, query }),
    getRevision: (id, revision) => ask({ method: "GET", path: route`/api/v1/workflows/${id}/revisions/${revision}` }),
    applyWorkflow: (request) => applyRemote(server, request),
    setWorkflowEnabled: (id, enabled) => ask({ method: "PATCH", path: route`/api/v1/workflows/${id}`, body: { enabled } }),
    deleteWorkflow: async (id) => void (await send(server, { method: "DELETE", path: route`/api/v1/workflows/${id}` })),
    validateWorkflow: ({ source }) => ask({ method: "POST", path: "/api/v1/workflows/validate", body: source, contentType: sourceType }),

    startExecution: (request) => startRemote(server, request),
    listExecutions: (query) => ask({ method: "GET", path: "/api/v1/executions", query: executionQuery(query) }),
    getExecution: ({ id, include }) => ask({ method: "GET", path: route`/api/v1/executions/${id}`, query: { include } }),
    listTaskRuns: ({ executionId, ...query }) => ask({ method: "GET", path: route`/api/v1/executions/${executionId}/tasks`, query }),
    listLogs: (query) => ask({ method: "GET", path: route`/api/v1/executions/${query.executionId}/logs`, query: logQuery(query) }),
    streamLogs: (query, signal) => streamRemoteLogs(server, query, signal),
    listArtifacts: ({ executionId, ...query }) => ask({ method: "GET", path: route`/api/v1/executions/${executionId}/artifacts`, query }),
    openArtifact: (request) => openRemoteArtifact(server, request),
    cancelExecution: (id) => commandRemote(server, route`/api/v1/executions/${id}/cancel`),
    pauseExecution: (id) => commandRemote(server, route`/api/v1/executions/${id}/pause`),
    resumeExecution: (id) => commandRemote(server, route`/api/v1/executions/${id}/resume`),
    restartExecution: ({ id, ...body }) => ask({ method: "POST", path: route`/api/v1/executions/${id}/restart`, body }),
    resolveTask: ({ id, ...body }) => commandRemote(server, route`/api/v1/executions/${id}/resolve`, body),

    cleanUpExecutions: (body) => ask({ method: "POST", path: "/api/v1/executions/cleanup", body }),
    listTriggers: (query) => ask({ method: "GET", path: "/api/v1/triggers", query }),
    triggerHealth: (query) => ask({ method: "GET", path: "/api/v1/triggers/health", query }),
    fireTrigger: (body) => ask({ method: "POST", path: "/api/v1/triggers/fire", body }),
    backfillTrigger: ({ from, to, ...body }) =>
      ask({ method: "POST", path: "/api/v1/triggers/backfill", body: { ...body, from: toIso(from), to: toIso(to) } }),
    listPlugins: (query) => ask({ method: "GET", path: "/api/v1/plugins", query }),
    getPlugin: (id) => ask({ method: "GET", path: pluginPath(id) }),
    reloadPlugins: () => ask({ method: "POST", path: "/api/v1/plugins/reload" }),

    listTraces: (query) => ask({ method: "GET", path: "/v1/traces", query }),
    listEvents: (query) => listRemoteEvents(server, query),
    listNewestEvents: (query) => listNewestRemote(server, query),
    streamEvents: (query, signal) => streamRemoteEvents(server, query, signal),

    createKey: (body) => ask({ method: "POST", path: "/api/v1/keys", body }),
    listKeys: (query) => ask({ method: "GET", path: "/api/v1/keys", query }),
    revokeKey: async (id) => void (await send(server, { method: "DELETE", path: route`/api/v1/keys/${id}` })),

    listSecrets: (query) => ask({ method: "GET", path: "/api/v1/secrets", query }),
    setSecret: async ({ name, ...body }) => void (await send(server, { method: "PUT", path: route`/api/v1/secrets/${name}`, body })),
    getSecret: (name) => ask({ method: "GET", path: route`/api/v1/secrets/${name}` }),
    deleteSecret: async (name) => void (await send(server, { method: "DELETE", path: route`/api/v1/secrets/${name}` })),
    rotateSecretKey: () => ask({ method: "POST", path: "/api/v1/secrets/rotate-key" }),
  };
}

function pluginPath(id: string): string {
  const [namespace = "", ...rest] = id.split("/");
  return route`/api/v1/plugins/${namespace}/${rest.join("/")}`;
}

const isoOf = (at: number | undefined) => (at === undefined ? undefined : toIso(at));
const executionQuery = (query: ExecutionQuery) => ({ ...query, since: isoOf(query.since), until: isoOf(query.until) });
const logQuery = (query: LogQuery) => ({ ...query, executionId: undefined, since: isoOf(query.since) });

// JSON documents are YAML too, and a YAML document may look like JSON without being it; the server keeps the bytes either way.
const sourceType = "application/yaml";

async function applyRemote(server: RemoteServer, request: ApplyRequest): Promise<{ created: boolean; applied: Applied }> {
  const response = await send(server, {
    method: "PUT",
    path: route`/api/v1/workflows/${request.id}`,
    query: { folder: server.isOwn ? request.folder : null, enabled: request.enabled, dryRun: request.dryRun === true ? true : undefined },
    body: request.source,
    contentType: sourceType,
  });
  return { created: response.status === 201, applied: await readJson<Applied>(server, response) };
}

async function commandRemote(server: RemoteServer, path: string, body?: object): Promise<CommandAnswer> {
  const response = await send(server, { method: "POST", path, ...(body === undefined ? {} : { body }) });
  return { already: response.status === 200, started: await readJson<Started>(server, response) };
}

async function startRemote(server: RemoteServer, { workflow, waitMs, idempotencyKey, ...body }: StartRequest): Promise<StartAnswer> {
  const response = await send(server, {
    method: "POST",
    path: route`/api/v1/workflows/${workflow}/executions`,
    query: { wait: waitMs === undefined ? undefined : `${waitMs}ms` },
    body,
    headers: idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
  });
  const answer = await readJson<Started | Execution>(server, response);
  if (!("execution" in answer)) return { started: answer, execution: null };
  return { started: { executionId: answer.execution.executionId, state: answer.execution.state }, execution: answer };
}

async function openRemoteArtifact(server: RemoteServer, { executionId, name, taskId }: ArtifactRequest): Promise<OpenedArtifact> {
  const path = route`/api/v1/executions/${executionId}/artifacts/${name}`;
  const { headers, body } = await send(server, { method: "GET", path, query: { taskId }, headers: { accept: "*/*" } });
  const sha256 = headers.get("etag")?.replaceAll('"', "") ?? "";
  return { name, sha256, size: null, contentType: headers.get("content-type") ?? "application/octet-stream", pieces: () => piecesOf(server, body) };
}

async function* piecesOf(server: RemoteServer, body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  try {
    if (body !== null) yield* body;
  } catch (cause) {
    throw unreachable(server, cause);
  }
}

async function* streamRemoteLogs(server: RemoteServer, query: LogStreamQuery, signal: AbortSignal): AsyncGenerator<LogItem> {
  const { executionId, sinceId, since, ...filter } = query;
  const path = route`/api/v1/executions/${executionId}/logs/stream`;
  const headers: Record<string, string> = sinceId === undefined ? {} : { "last-event-id": String(sinceId) };
  for await (const event of streamServerEvents(server, { method: "GET", path, query: { ...filter, since: isoOf(since) }, headers }, signal)) {
    const item: unknown = JSON.parse(event.data);
    if (isObject(item) && "message" in item) yield item as LogItem;
  }
}

async function listRemoteEvents(server: RemoteServer, { traceId, sinceSequence, eventType, ...query }: EventQuery): Promise<EventPage> {
  const path = route`/v1/traces/${traceId}/events`;
  const response = await send(server, { method: "GET", path, query: { ...query, event_type: eventType, since_sequence: sinceSequence } });
  const text = await response.clone().text();
  const page = await readJson<{ trace_id: string; total_count: number; has_more: boolean }>(server, response);
  return { traceId: page.trace_id, events: rawArrayItems(text, "events"), totalCount: page.total_count, hasMore: page.has_more };
}

async function listNewestRemote(server: RemoteServer, { eventType, beforeSeq, ...query }: NewestQuery): Promise<NewestEvents> {
  const call: Call = { method: "GET", path: "/v1/traces/events", query: { ...query, event_type: eventType, before_seq: beforeSeq } };
  const response = await send(server, call);
  const text = await response.clone().text();
  const page = await readJson<{ has_more: boolean }>(server, response);
  return { events: rawArrayItems(text, "events"), hasMore: page.has_more };
}

async function* streamRemoteEvents(
  server: RemoteServer,
  query: EventStreamQuery,
  signal: AbortSignal,
): AsyncGenerator<{ seq: number; text: string }> {
  const { traceId, severity, eventType, sinceSeq, sinceSequence } = query;
  const path = traceId === null ? "/v1/traces/stream" : route`/v1/traces/${traceId}/stream`;
  const call: Call = { method: "GET", path, query: { severity, event_type: eventType, since_seq: sinceSeq, since_sequence: sinceSequence } };
  for await (const event of streamServerEvents(server, call, signal)) yield { seq: Number(event.id), text: event.data };
}
