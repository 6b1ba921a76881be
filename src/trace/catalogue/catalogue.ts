// Every event type by name: the domains' declarations put together.
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import type { TObject } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { fail, isUuid } from "../../base/index.ts";
import { type EventDraft, registerFormats } from "../../model/index.ts";
import type { EventDefinition } from "./define.ts";
import { executionEvents } from "./execution.ts";
import { keyEvents } from "./key.ts";
import { ledgerEvents } from "./ledger.ts";
import { permissionEvents } from "./permission.ts";
import { pluginEvents } from "./plugin.ts";
import { secretEvents } from "./secret.ts";
import { serverEvents } from "./server.ts";
import { sessionEvents } from "./session.ts";
import { taskEvents } from "./task.ts";
import { triggerEvents } from "./trigger.ts";
import { workflowEvents } from "./workflow.ts";

export const catalogue: ReadonlyMap<string, EventDefinition> = new Map(
  [
    ...sessionEvents,
    ...workflowEvents,
    ...triggerEvents,
    ...executionEvents,
    ...taskEvents,
    ...permissionEvents,
    ...keyEvents,
    ...pluginEvents,
    ...secretEvents,
    ...serverEvents,
    ...ledgerEvents,
  ].map((definition) => [definition.type, definition]),
);

const checks = new Map<string, TypeCheck<TObject>>();
const uses = new Map<string, number>();

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
  if (fitsPayload(draft)) return;
  const first = Value.Errors(definitionOf(draft.type).payload, draft.payload).First();
  throw wrong(`${first?.path ?? ""} ${first?.message ?? "does not fit"}`);
}

/** Compiling a check costs as much as some hundred uses of the schema itself: a command of few events never pays it. */
const usesBeforeCompiling = 100;

function fitsPayload(draft: EventDraft): boolean {
  const compiled = checks.get(draft.type);
  if (compiled !== undefined) return compiled.Check(draft.payload);
  registerFormats();
  const { payload } = definitionOf(draft.type);
  const count = (uses.get(draft.type) ?? 0) + 1;
  uses.set(draft.type, count);
  if (count > usesBeforeCompiling) checks.set(draft.type, TypeCompiler.Compile(payload));
  return Value.Check(payload, draft.payload);
}
