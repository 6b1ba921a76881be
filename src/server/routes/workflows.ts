// Workflows: list, show, revisions, apply, enable, delete, check.
import { Type } from "@sinclair/typebox";
import { AppliedSchema, RevisionDetailSchema, RevisionListSchema, ValidationSchema, WorkflowListSchema, WorkflowSchema } from "../../model/index.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { AbsolutePath, paging, Text } from "../http/formats.ts";
import { type BodyForm, route, type Route } from "../route.ts";
import { revisionNumber, workflowId } from "./path-params.ts";

const tag = "workflows";
const Source = Type.String({ description: "The workflow's text as written; it is kept byte for byte." });
const source: BodyForm<typeof Source> = {
  types: ["application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml", "application/json"],
  read: "text",
  schema: Source,
};
const Enabled = Type.Object({ enabled: Type.Boolean() }, { additionalProperties: false });

const ListQuery = Type.Object(
  { enabled: Type.Optional(Type.Boolean()), label: Type.Optional(Text("A label's name, or name=value.")), ...paging },
  { additionalProperties: false },
);
const ApplyQuery = Type.Object(
  {
    folder: Type.Optional(AbsolutePath("The folder of the workflow's file, on the server's machine.")),
    enabled: Type.Optional(Type.Boolean({ description: "Instead of what the text says." })),
    dryRun: Type.Optional(Type.Boolean({ description: "Check and answer, but write nothing." })),
  },
  { additionalProperties: false },
);
const ValidateQuery = Type.Object({ folder: Type.Optional(AbsolutePath("As for an apply.")) }, { additionalProperties: false });
const PageQuery = Type.Object(paging, { additionalProperties: false });

const reading: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/workflows",
    summary: "List workflows",
    tag,
    scope: "workflow:read",
    query: ListQuery,
    answers: { 200: { means: "A page of workflows.", schema: WorkflowListSchema } },
    handler: async ({ facade, query }) => jsonAnswer(await facade.listWorkflows(query)),
  }),
  route({
    method: "GET",
    path: "/api/v1/workflows/:id",
    summary: "Show a workflow with its definition and its text",
    tag,
    scope: "workflow:read",
    params: { id: workflowId },
    answers: { 200: { means: "The workflow.", schema: WorkflowSchema } },
    handler: async ({ facade, params }) => jsonAnswer(await facade.getWorkflow(params.id)),
  }),
  route({
    method: "GET",
    path: "/api/v1/workflows/:id/revisions",
    summary: "List a workflow's revisions, newest first",
    tag,
    scope: "workflow:read",
    params: { id: workflowId },
    query: PageQuery,
    answers: { 200: { means: "A page of revisions.", schema: RevisionListSchema } },
    handler: async ({ facade, params, query }) => jsonAnswer(await facade.listRevisions(params.id, query)),
  }),
  route({
    method: "GET",
    path: "/api/v1/workflows/:id/revisions/:revision",
    summary: "Show one revision with its text",
    tag,
    scope: "workflow:read",
    params: { id: workflowId, revision: revisionNumber },
    answers: { 200: { means: "The revision.", schema: RevisionDetailSchema } },
    handler: async ({ facade, params }) => jsonAnswer(await facade.getRevision(params.id, Number(params.revision))),
  }),
  route({
    method: "POST",
    path: "/api/v1/workflows/validate",
    summary: "Check a workflow's text",
    tag,
    scope: "workflow:read",
    query: ValidateQuery,
    body: source,
    answers: { 200: { means: "Whether it is valid, and every finding.", schema: ValidationSchema } },
    handler: async ({ facade, query, body }) =>
      jsonAnswer(await facade.validateWorkflow({ source: body, file: "body", hasFolder: query.folder !== undefined })),
  }),
];

const writing: readonly Route[] = [
  route({
    method: "PUT",
    path: "/api/v1/workflows/:id",
    summary: "Apply a workflow",
    tag,
    scope: "workflow:write",
    params: { id: workflowId },
    query: ApplyQuery,
    body: source,
    answers: { 200: { means: "Changed, or the same as before.", schema: AppliedSchema }, 201: { means: "New.", schema: AppliedSchema } },
    handler: async ({ facade, params, query, body }) => {
      const { folder = null, ...options } = query;
      const { created, applied } = await facade.applyWorkflow({ id: params.id, source: body, folder, file: `${params.id}.yaml`, ...options });
      return jsonAnswer(applied, created && options.dryRun !== true ? 201 : 200);
    },
  }),
  route({
    method: "PATCH",
    path: "/api/v1/workflows/:id",
    summary: "Enable or disable a workflow",
    tag,
    scope: "workflow:write",
    params: { id: workflowId },
    body: { types: ["application/json"], read: "json", schema: Enabled },
    answers: { 200: { means: "The workflow as it is now.", schema: WorkflowSchema } },
    handler: async ({ facade, params, body }) => jsonAnswer(await facade.setWorkflowEnabled(params.id, body.enabled)),
  }),
  route({
    method: "DELETE",
    path: "/api/v1/workflows/:id",
    summary: "Delete a workflow; its executions stay",
    tag,
    scope: "workflow:write",
    params: { id: workflowId },
    answers: { 204: { means: "It is gone.", schema: null } },
    handler: async ({ facade, params }) => {
      await facade.deleteWorkflow(params.id);
      return emptyAnswer();
    },
  }),
];

export const workflowRoutes: readonly Route[] = [...reading, ...writing];
