// Every event type by name: the domains' declarations put together.
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import type { TObject } from "@sinclair/typebox";
import { fail, isUuid } from "../../base/index.ts";
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

/** The last millisecond that RFC 3339 can write. */
const timeMax = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * Holds a draft against the event's form and its type's schema before anything is written.
 * @throws INTERNAL with the first misfit: what is wrong is our code, not the input
 */
export function checkDraft(draft: EventDraft): void {
  const wrong = (what: string) => fail("INTERNAL", `Cannot write ${draft.type}: ${what}`);
  const ids = [draft.eventId, draft.traceId, draft.spanId, draft.sessionId];
  if (!ids.every(isUuid) || (draft.parentSpanId !== null && !isUuid(draft.parentSpanId))) throw wrong("one of its ids is no UUID");
  if (draft.actor.id === "") throw wrong("its actor has no id");
  if (!Number.isInteger(draft.time) || draft.time < 0 || draft.time > timeMax) throw wrong(`its time is ${draft.time}`);
  const check = payloadCheck(draft.type);
  if (check.Check(draft.payload)) return;
  const first = check.Errors(draft.payload).First();
  throw wrong(`${first?.path ?? ""} ${first?.message ?? "does not fit"}`);
}

function payloadCheck(type: string): TypeCheck<TObject> {
  let check = checks.get(type);
  if (check === undefined) {
    registerFormats();
    check = TypeCompiler.Compile(definitionOf(type).payload);
    checks.set(type, check);
  }
  return check;
}
