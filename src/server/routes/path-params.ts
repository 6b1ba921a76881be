// The variable parts of paths, and what a text that cannot be one counts as: a thing that does not exist.
import { Type } from "@sinclair/typebox";
import { isUuid } from "../../base/index.ts";
import { secretNamePattern } from "../../model/index.ts";
import type { PathParam } from "../route.ts";

const uuid = Type.String({ format: "uuid" });
const anyText = (): boolean => true;

/** Any text: whether such a workflow exists, or may, the store and the language say. */
export const workflowId: PathParam = { schema: Type.String(), isValid: anyText, code: "WORKFLOW_NOT_FOUND", noun: "workflow" };
export const revisionNumber: PathParam = {
  schema: Type.Integer({ minimum: 1 }),
  isValid: (text) => /^[1-9]\d{0,14}$/.test(text),
  code: "WORKFLOW_NOT_FOUND",
  noun: "revision",
};
export const executionId: PathParam = { schema: uuid, isValid: isUuid, code: "EXECUTION_NOT_FOUND", noun: "execution" };
export const artifactName: PathParam = { schema: Type.String(), isValid: anyText, code: "ARTIFACT_NOT_FOUND", noun: "artifact" };
export const traceId: PathParam = { schema: uuid, isValid: isUuid, code: "TRACE_NOT_FOUND", noun: "trace" };
export const pluginName: PathParam = {
  schema: Type.String({ pattern: "^[a-z0-9-]+$" }),
  isValid: (text) => /^[a-z0-9-]{1,64}$/.test(text),
  code: "PLUGIN_NOT_FOUND",
  noun: "plugin",
};
export const keyId: PathParam = { schema: uuid, isValid: isUuid, code: "KEY_NOT_FOUND", noun: "API key" };
const secretText = Type.String({ pattern: secretNamePattern });
/** Any text: the verb says whether such a secret is there, or may be. */
export const secretName: PathParam = { schema: secretText, isValid: anyText, code: "SECRET_NOT_FOUND", noun: "secret" };
