// Artifacts of an execution: the list, and each file's bytes.
import { Type } from "@sinclair/typebox";
import { ArtifactListSchema } from "../../model/index.ts";
import { bytesAnswer, jsonAnswer } from "../http/answer.ts";
import { paging, Text } from "../http/formats.ts";
import { route, type Route } from "../route.ts";
import { artifactName, executionId } from "./path-params.ts";

const tag = "executions";
const strict = { additionalProperties: false } as const;
const taskId = Type.Optional(Text("Only of this task."));
const ListQuery = Type.Object({ taskId, ...paging }, strict);
const FileQuery = Type.Object({ taskId }, strict);

export const artifactRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/executions/:id/artifacts",
    summary: "List the files that an execution's tasks left behind, oldest first",
    tag,
    scope: "execution:read",
    params: { id: executionId },
    query: ListQuery,
    answers: { 200: { means: "A page of artifacts.", schema: ArtifactListSchema } },
    handler: async ({ facade, params, query }) => jsonAnswer(await facade.listArtifacts({ executionId: params.id, ...query })),
  }),
  route({
    method: "GET",
    path: "/api/v1/executions/:id/artifacts/:name",
    summary: "Read an artifact; of several with that name the newest",
    tag,
    scope: "execution:read",
    params: { id: executionId, name: artifactName },
    query: FileQuery,
    answers: { 200: { means: "Its bytes, in its own content type.", schema: Type.String(), types: ["application/octet-stream"] } },
    handler: async ({ facade, params, query, request, state }) => {
      const { name, sha256, contentType, pieces } = await facade.openArtifact({ executionId: params.id, name: params.name, ...query });
      state.keepOpen(request);
      // Whatever a task wrote is a file to save, never a page of this server.
      const headers = { "content-disposition": dispositionOf(name), "content-security-policy": "sandbox", etag: `"${sha256}"` };
      return bytesAnswer(pieces(), { type: typeOf(contentType), headers });
    },
  }),
];

/** RFC 6266: a name that every client reads, and the exact one. */
function dispositionOf(name: string): string {
  const base = name.slice(name.lastIndexOf("/") + 1);
  const plain = base.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(base.toWellFormed()).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}

const typePattern = /^[\w.+-]+\/[\w.+-]+(?:; ?[\w-]+=[\w.-]+)*$/;

/** A task may say anything of its file, also what is no header. */
function typeOf(contentType: string): string {
  return typePattern.test(contentType) ? contentType : "application/octet-stream";
}
