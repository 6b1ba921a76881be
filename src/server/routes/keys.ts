// API keys: only an admin makes, sees and revokes them, and nobody grants what he lacks.
import { Type } from "@sinclair/typebox";
import { fail } from "../../base/index.ts";
import { CreatedKeySchema, KeyListSchema, PrincipalSchema } from "../../model/index.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { paging } from "../http/formats.ts";
import { route, type Route } from "../route.ts";
import { keyId } from "./path-params.ts";

const tag = "keys";
const strict = { additionalProperties: false } as const;
const Names = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 100 });
const NewKeyBody = Type.Object(
  {
    name: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 200 }), Type.Null()])),
    principal: PrincipalSchema,
    roles: Type.Optional(Names),
    scopes: Type.Optional(Names),
    expiresAt: Type.Optional(Type.Union([Type.String({ format: "date-time" }), Type.Null()])),
    atlases: Type.Optional(Names),
    capabilities: Type.Optional(Names),
  },
  strict,
);

export const keyRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/keys",
    summary: "List API keys, without the keys themselves",
    tag,
    scope: "admin",
    query: Type.Object(paging, strict),
    answers: { 200: { means: "A page of keys.", schema: KeyListSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.listKeys(query)),
  }),
  route({
    method: "POST",
    path: "/api/v1/keys",
    summary: "Make an API key; the answer alone shows it",
    tag,
    scope: "admin",
    body: { types: ["application/json"], read: "json", schema: NewKeyBody },
    answers: { 201: { means: "The key.", schema: CreatedKeySchema } },
    handler: async ({ facade, body: { roles = [], scopes = [], expiresAt, atlases, capabilities, ...rest } }) => {
      // A key that reaches further than it was asked to would be worse than none.
      if (atlases !== undefined || capabilities !== undefined)
        throw fail("NOT_AVAILABLE_YET", "Cannot create a key: this version cannot limit one to atlases or capabilities yet");
      const expiry = expiresAt === undefined || expiresAt === null ? {} : { expiresAt };
      return jsonAnswer(await facade.createKey({ ...rest, roles, scopes, ...expiry }), 201);
    },
  }),
  route({
    method: "DELETE",
    path: "/api/v1/keys/:id",
    summary: "Revoke an API key",
    tag,
    scope: "admin",
    params: { id: keyId },
    answers: { 204: { means: "It is no longer valid.", schema: null } },
    handler: async ({ facade, params }) => {
      await facade.revokeKey(params.id);
      return emptyAnswer();
    },
  }),
];
