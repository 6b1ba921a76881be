// schema NAME: JSON Schemas of what people and programs write and read.
import { fail } from "../../base/index.ts";
import { ConfigSchema } from "../../config/index.ts";
import {
  CreatedKeySchema,
  ExecutionListSchema,
  ExecutionSchema,
  KeyListSchema,
  LogPageSchema,
  PluginListSchema,
  PluginSchema,
  StatusSchema,
  TraceEventSchema,
  ValidationSchema,
  WorkflowListSchema,
  WorkflowSchema,
} from "../../model/index.ts";
import { ManifestForm } from "../../plugins/index.ts";
import { workflowJsonSchema } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { suggest } from "../suggest.ts";

const schemas: Record<string, { about: string; read: () => object }> = {
  workflow: { about: "A workflow file", read: workflowJsonSchema },
  config: { about: "autokestra.yaml", read: () => ConfigSchema },
  "trace-event": { about: "One TRACE event", read: () => TraceEventSchema },
  execution: { about: "execution inspect --json", read: () => ExecutionSchema },
  "execution-list": { about: "execution list --json", read: () => ExecutionListSchema },
  "workflow-detail": { about: "describe --json", read: () => WorkflowSchema },
  "workflow-list": { about: "list --json", read: () => WorkflowListSchema },
  "log-page": { about: "execution logs --json", read: () => LogPageSchema },
  "created-key": { about: "key create --json", read: () => CreatedKeySchema },
  "plugin-manifest": { about: "plugin.yaml", read: () => ManifestForm },
  "plugin-list": { about: "plugin list --json", read: () => PluginListSchema },
  "plugin-detail": { about: "plugin inspect --json", read: () => PluginSchema },
  "key-list": { about: "key list --json", read: () => KeyListSchema },
  status: { about: "The server's status", read: () => StatusSchema },
  validation: { about: "validate --json", read: () => ValidationSchema },
};

export async function printSchema(context: CliContext, { name, list }: { name: string | null; list: boolean }): Promise<void> {
  if (list || name === null) {
    if (context.common.json) return context.printJson({ schemas: Object.entries(schemas).map(([id, { about }]) => ({ name: id, about })) });
    return context.printTable(Object.entries(schemas), [
      { title: "NAME", value: ([id]) => id },
      { title: "OF", value: ([, { about }]) => about },
    ]);
  }
  const found = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (found === undefined) {
    const near = suggest(name, Object.keys(schemas));
    const hint = near === null ? "See: workflow schema --list" : `Did you mean ${near}?`;
    throw fail("SCHEMA_NOT_FOUND", `Cannot print schema "${name}": no such schema`, { hint });
  }
  context.printJson(found.read());
}
