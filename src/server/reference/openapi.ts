// The OpenAPI 3.1 document, made from the table of routes and the schemas they are checked by.
import type { TSchema } from "@sinclair/typebox";
import { errorCodes, errorKinds, version } from "../../base/index.ts";
import * as model from "../../model/index.ts";
import type { BodyForm, Route } from "../route.ts";

type Json = Record<string, unknown>;

/** Schemas that stand under a name of their own; found again by identity. */
const named: ReadonlyMap<TSchema, string> = new Map(
  Object.entries(model).flatMap(([name, value]): [TSchema, string][] =>
    name.endsWith("Schema") && typeof value === "object" ? [[value as TSchema, name.slice(0, -"Schema".length)]] : [],
  ),
);

/** The whole document. */
export function openApiDocument(routes: readonly Route[]): Json {
  const used = new Map<string, TSchema>();
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = namedPath(route).replace(/:([a-zA-Z]+)/g, "{$1}");
    const item = (paths[path] ??= {});
    item[route.method.toLowerCase()] = operation(route, used);
  }
  const schemas: Json = { ErrorEnvelope: errorEnvelope() };
  // Rendering one schema may name further ones, which join the map while it is walked.
  for (const [name, schema] of used) schemas[name] = renderMembers(schema, used);
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "Autokestra",
      version,
      description: "Runs automation under deny-by-default permissions and keeps a tamper-evident trace of it.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas,
      responses: {
        Error: { description: "A refusal.", content: { "application/json": { schema: { $ref: "#/components/schemas/ErrorEnvelope" } } } },
      },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" }, apiKey: { type: "apiKey", in: "header", name: "X-API-Key" } },
    },
    security: [{ bearer: [] }, { apiKey: [] }],
  };
}

/** What a `*` stands for is a parameter too, though it may hold slashes. */
function namedPath({ path }: Route): string {
  return path.replace(/\*$/, ":path");
}

function operation(route: Route, used: Map<string, TSchema>): Json {
  const operationId = `${route.method.toLowerCase()}${namedPath(route).replace(/[^a-zA-Z0-9]+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())}`;
  const out: Json = { operationId, summary: route.summary, tags: [route.tag] };
  if (route.scope === null) out["security"] = [];
  else out["x-scope"] = route.scope;
  const list = parameters(route, used);
  if (list.length > 0) out["parameters"] = list;
  if (route.body !== null) out["requestBody"] = requestBody(route.body, used);
  const responses: Json = {};
  for (const [status, { means, schema, types = ["application/json"] }] of Object.entries(route.answers)) {
    responses[status] = schema === null ? { description: means } : { description: means, content: content(types, schema, used) };
  }
  for (const status of refusalStatuses(route)) responses[status] = { $ref: "#/components/responses/Error" };
  out["responses"] = responses;
  return out;
}

function parameters(route: Route, used: Map<string, TSchema>): Json[] {
  const path = [...namedPath(route).matchAll(/:([a-zA-Z]+)/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: render(route.params[name]?.schema ?? {}, used),
  }));
  const members = (route.query?.properties ?? {}) as Record<string, TSchema>;
  const query = Object.entries(members).map(([name, schema]) => {
    const out: Json = { name, in: "query", required: route.query?.required?.includes(name) ?? false, schema: render(schema, used) };
    if (schema.description !== undefined) out["description"] = schema.description;
    // Lists are one value with commas.
    return schema["type"] === "array" ? Object.assign(out, { style: "form", explode: false }) : out;
  });
  const headers: Json[] = [];
  if (route.idempotent)
    headers.push({ name: "Idempotency-Key", in: "header", required: false, schema: { type: "string", minLength: 1, maxLength: 255 } });
  if (route.resumable) headers.push({ name: "Last-Event-ID", in: "header", required: false, schema: { type: "integer", minimum: 0 } });
  return [...path, ...query, ...headers];
}

function requestBody(form: BodyForm, used: Map<string, TSchema>): Json {
  return { required: form.optional !== true, content: content(form.types, form.schema, used) };
}

function content(types: readonly string[], schema: TSchema, used: Map<string, TSchema>): Json {
  const rendered = render(schema, used);
  // Line-wise forms are texts; the schema is that of a whole JSON document.
  return Object.fromEntries(types.map((type) => [type, { schema: type === "application/x-ndjson" ? { type: "string" } : rendered }]));
}

function refusalStatuses(route: Route): number[] {
  const found = new Set([400, ...(route.refusals ?? [])]);
  if (route.scope !== null) found.add(401).add(403);
  if (Object.keys(route.params).length > 0) found.add(404);
  if (route.body !== null) found.add(413).add(415).add(422);
  if (route.scope !== null && route.method !== "GET") found.add(409);
  return [...found].toSorted((a, b) => a - b);
}

// Schemas with a name become references; symbols, which TypeBox keeps for itself, fall away.
function render(schema: unknown, used: Map<string, TSchema>): unknown {
  if (Array.isArray(schema)) return schema.map((item) => render(item, used));
  if (typeof schema !== "object" || schema === null) return schema;
  const name = named.get(schema as TSchema);
  if (name === undefined) return renderMembers(schema, used);
  used.set(name, schema as TSchema);
  return { $ref: `#/components/schemas/${name}` };
}

function renderMembers(schema: object, used: Map<string, TSchema>): Json {
  return Object.fromEntries(Object.entries(schema).flatMap(([key, value]) => (key === "$id" ? [] : [[key, render(value, used)]])));
}

function errorEnvelope(): Json {
  const text = { type: "string" };
  const error = {
    type: "object",
    required: ["code", "kind", "message"],
    properties: {
      code: { ...text, enum: Object.keys(errorCodes) },
      kind: { ...text, enum: Object.keys(errorKinds) },
      message: text,
      details: { type: "object" },
      hint: text,
      request_id: text,
    },
  };
  return { type: "object", required: ["error"], properties: { error } };
}
