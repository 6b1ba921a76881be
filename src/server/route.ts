// A route as data: method, path, scope, the forms of its query, body and answers, and the one verb it calls.
// Registration, refusals, OpenAPI and the tests' tables are all made from these.
import { type Static, type TObject, type TSchema, Type } from "@sinclair/typebox";
import type { ErrorCode } from "../base/index.ts";
import type { Facade } from "../app/index.ts";
import type { Caller, Scope } from "../model/index.ts";
import type { Answer } from "./http/answer.ts";
import type { ServerState } from "./server-state.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A variable part of the path; a text that cannot name such a thing is as absent as an id that nobody has. */
export type PathParam = { schema: TSchema; isValid: (text: string) => boolean; code: ErrorCode; noun: string };

export type BodyForm<B extends TSchema = TSchema> = {
  /** Media types without parameters, lower case. */
  types: readonly string[];
  /** `text` is handed on as it came, `json` is parsed and checked by the schema. */
  read: "text" | "json";
  schema: B;
  /** An empty body stands for `{}`. */
  optional?: true;
};

export type AnswerForm = { means: string; schema: TSchema | null; types?: readonly string[] };

type PathNames<P extends string> = P extends `${string}:${infer N}/${infer R}`
  ? N | PathNames<`/${R}`>
  : P extends `${string}:${infer N}`
    ? N
    : never;

/** What a handler gets: everything in it was checked. */
export type Call<N extends string = string, Q = unknown, B = unknown> = OpenCall & {
  caller: Caller;
  facade: Facade;
  params: Record<N, string>;
  query: Q;
  body: B;
  idempotencyKey: string | null;
  /** The number of a Last-Event-ID header. */
  lastEventId: number | null;
};

/** What a handler of a public route gets. */
export type OpenCall = { request: Request; requestId: string; state: ServerState };

type RouteHead = {
  method: Method;
  path: string;
  summary: string;
  tag: string;
  /** By status; the first one is the usual one. */
  answers: Readonly<Record<number, AnswerForm>>;
  /** Statuses of refusals beyond those that its kind of route has. */
  refusals?: readonly number[];
  /** Query and body are the sender's own; the handler reads them. */
  isRaw?: true;
};

export type RouteSpec<P extends string, Q extends TObject, B extends TSchema> = RouteHead & {
  path: P;
  scope: Scope;
  params?: Readonly<Record<PathNames<P>, PathParam>>;
  query?: Q;
  body?: BodyForm<B>;
  /** Takes an Idempotency-Key. */
  idempotent?: true;
  /** A stream that goes on after Last-Event-ID. */
  resumable?: true;
  handler: (call: Call<PathNames<P>, Static<Q>, Static<B>>) => Promise<Answer>;
};

/** A route with its own types forgotten, as tables hold it. */
export type Route = RouteHead & {
  /** Null for a public route. */
  scope: Scope | null;
  params: Readonly<Record<string, PathParam>>;
  query: TObject | null;
  body: BodyForm | null;
  idempotent: boolean;
  resumable: boolean;
  handler: (call: Call) => Promise<Answer>;
};

/** What a POST takes that has nothing to be told: no body, or `{}`. */
const nothingBody = {
  types: ["application/json"],
  read: "json",
  schema: Type.Object({}, { additionalProperties: false }),
  optional: true,
} as const satisfies BodyForm;

/** A route that needs a key with a scope. A POST without a form of its body refuses every body that says something. */
export function route<P extends string, Q extends TObject, B extends TSchema>(spec: RouteSpec<P, Q, B>): Route {
  return {
    ...spec,
    params: spec.params ?? {},
    query: spec.query ?? null,
    body: spec.body ?? (spec.method === "POST" ? nothingBody : null),
    idempotent: spec.idempotent ?? false,
    resumable: spec.resumable ?? false,
    // The pipeline checks query and body by the very schemas whose types are forgotten here.
    handler: spec.handler as unknown as Route["handler"],
  };
}

/** A route for everyone: no key is looked at. */
export function publicRoute(spec: RouteHead & { handler: (call: OpenCall) => Promise<Answer> }): Route {
  return { ...spec, scope: null, params: {}, query: null, body: null, idempotent: false, resumable: false };
}
