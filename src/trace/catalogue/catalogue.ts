// Every event type by name: the domains' declarations put together.
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import type { TObject } from "@sinclair/typebox";
import { fail } from "../../base/index.ts";
import { type EventDraft, registerFormats } from "../../model/index.ts";
import type { EventDefinition } from "./define.ts";
import { executionEvents } from "./execution.ts";
import { keyEvents } from "./key.ts";
import { serverEvents } from "./server.ts";
import { sessionEvents } from "./session.ts";
import { taskEvents } from "./task.ts";
import { workflowEvents } from "./workflow.ts";

export const catalogue: ReadonlyMap<string, EventDefinition> = new Map(
  [...sessionEvents, ...workflowEvents, ...executionEvents, ...taskEvents, ...keyEvents, ...serverEvents].map((definition) => [definition.type, definition]),
);

const checks = new Map<string, TypeCheck<TObject>>();

/** The declaration of a type. @throws INTERNAL for one that nobody declared */
export function definitionOf(type: string): EventDefinition {
  const definition = catalogue.get(type);
  if (definition === undefined) throw fail("INTERNAL", `Cannot write an event of type "${type}": it is not in the catalogue`);
  return definition;
}

/** Holds a draft's payload against its type's schema. @throws INTERNAL with the first misfit: what is wrong is our code, not the input */
export function checkPayload(draft: EventDraft): void {
  let check = checks.get(draft.type);
  if (check === undefined) {
    registerFormats();
    check = TypeCompiler.Compile(definitionOf(draft.type).payload);
    checks.set(draft.type, check);
  }
  if (check.Check(draft.payload)) return;
  const first = check.Errors(draft.payload).First();
  throw fail("INTERNAL", `Cannot write ${draft.type}: ${first?.path ?? ""} ${first?.message ?? "does not fit"}`);
}
