// Secrets: list without values, store, reveal, delete, and a new key for all of them.
import { Type } from "@sinclair/typebox";
import { isMaskable, SecretKeyRotationSchema, SecretListSchema, SecretSchema } from "../../model/index.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { paging } from "../http/formats.ts";
import { route, type Route } from "../route.ts";
import { secretName } from "./path-params.ts";

const tag = "secrets";
const strict = { additionalProperties: false } as const;
const ValueBody = Type.Object(
  {
    value: Type.String({ description: "1 byte to 64 KiB once it is decoded." }),
    encoding: Type.Optional(Type.Literal("base64", { description: "The value is base64 of bytes that need not be UTF-8." })),
  },
  strict,
);
/** 422 without a body: the stored bytes or the key are not what they should be. */
const integrity = [422] as const;
const noStore = { "cache-control": "no-store" } as const;
const unmasked = { warning: '199 - "Stored, but the value is too short to be masked where tasks write it"' } as const;

export const secretRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/secrets",
    summary: "List secrets by name, without values",
    tag,
    scope: "secret:read",
    query: Type.Object(paging, strict),
    answers: { 200: { means: "A page of names.", schema: SecretListSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.listSecrets(query)),
  }),
  route({
    method: "PUT",
    path: "/api/v1/secrets/:name",
    summary: "Store a secret, new or in place of what it was",
    tag,
    scope: "secret:write",
    params: { name: secretName },
    body: { types: ["application/json"], read: "json", schema: ValueBody },
    answers: { 204: { means: "It is stored. A Warning header says when it is too short to be masked.", schema: null } },
    handler: async ({ facade, params, body }) => {
      await facade.setSecret({ name: params.name, ...body });
      return isMaskable(sizeOf(body)) ? emptyAnswer() : { ...emptyAnswer(), headers: unmasked };
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/secrets/:name",
    summary: "Reveal a secret",
    tag,
    scope: "secret:read",
    params: { name: secretName },
    refusals: integrity,
    answers: { 200: { means: "The secret with its value; with encoding base64 where that is not UTF-8.", schema: SecretSchema } },
    handler: async ({ facade, params }) => jsonAnswer(await facade.getSecret(params.name), 200, noStore),
  }),
  route({
    method: "DELETE",
    path: "/api/v1/secrets/:name",
    summary: "Delete a secret",
    tag,
    scope: "secret:write",
    params: { name: secretName },
    answers: { 204: { means: "It is gone.", schema: null } },
    handler: async ({ facade, params }) => {
      await facade.deleteSecret(params.name);
      return emptyAnswer();
    },
  }),
  route({
    method: "POST",
    path: "/api/v1/secrets/rotate-key",
    summary: "Encrypt all secrets and sealed values with a new key",
    tag,
    scope: "admin",
    refusals: integrity,
    answers: { 200: { means: "The new key's id, and how many rows are under it.", schema: SecretKeyRotationSchema } },
    handler: async ({ facade }) => jsonAnswer(await facade.rotateSecretKey()),
  }),
];

function sizeOf({ value, encoding }: { value: string; encoding?: "base64" }): number {
  return encoding === undefined ? Buffer.byteLength(value) : Uint8Array.fromBase64(value).length;
}
