// Short ways to import a source in tests: definitions, and notes as one line each.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkflowDefinition } from "../../../../src/model/index.ts";
import { type Imported, type ImportNote, importWorkflow } from "../../../../src/workflow/index.ts";
import { definitionOf } from "../check-source.ts";

export const folder = join(import.meta.dir, "../../../fixtures/import");

export function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

export function importText(text: string | Uint8Array, file = "source.yaml"): Imported {
  return importWorkflow(text, { file });
}

/** The checked definitions: a result with an error throws here. */
export function definitions(imported: Imported): WorkflowDefinition[] {
  return imported.workflows.map(({ source }) => definitionOf(source));
}

export function only(text: string): WorkflowDefinition {
  const [first, ...others] = definitions(importText(text));
  if (first === undefined || others.length > 0) throw new Error(`${others.length + 1} workflows`);
  return first;
}

/** `severity path line:column` */
export function short({ severity, path, line, column }: ImportNote): string {
  return `${severity} ${path === "" ? "-" : path} ${line}:${column}`;
}

/** A task of a definition, handlers included. */
export function task(definition: WorkflowDefinition, id: string): WorkflowDefinition["tasks"][number] {
  const found = [...definition.tasks, ...definition.onFailure, ...definition.finally].find((one) => one.id === id);
  if (found === undefined) throw new Error(`no task ${id}`);
  return found;
}
