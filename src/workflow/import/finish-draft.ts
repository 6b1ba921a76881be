// Makes a draft valid: what the language would refuse is taken out and reported, so that a result always passes `validate`.
import { fail, type Json, type JsonObject } from "../../base/index.ts";
import { type Diagnostic, hasErrors } from "../../model/index.ts";
import { parseWorkflow } from "../parse-workflow.ts";
import { type Draft, type DraftItem, listKeys, renderDraft } from "./draft.ts";
import type { Notebook } from "./notes.ts";

/** Each round takes at least one part out; what is left after so many is beyond mending. */
const roundsMax = 20;

function check(text: string): Diagnostic[] {
  // Relative paths are judged where the file will stand.
  return parseWorkflow(text, { file: "workflow.yaml", hasFolder: true, findAction: () => null }).diagnostics;
}

function keysOf(path: string): (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(([, index, quoted, plain]) =>
    index !== undefined ? Number(index) : quoted !== undefined ? (JSON.parse(`"${quoted}"`) as string) : (plain ?? ""),
  );
}

function remove(owner: JsonObject, keys: readonly (string | number)[]): boolean {
  let at: Json | undefined = owner;
  for (const key of keys.slice(0, -1)) at = (at as Record<string | number, Json> | undefined)?.[key];
  const last = keys.at(-1);
  if (Array.isArray(at) && typeof last === "number") return at.splice(last, 1).length > 0;
  if (typeof at !== "object" || at === null || last === undefined || !Object.hasOwn(at, last)) return false;
  return delete (at as Record<string | number, Json>)[last];
}

/** What cannot be left out without changing whether a task runs switches it off instead. */
function mend(draft: Draft, found: Diagnostic, book: Notebook): boolean {
  const [list, index, ...inner] = keysOf(found.path);
  const key = listKeys.find((one) => one === list);
  const item = key === undefined || typeof index !== "number" ? undefined : draft[key][index];
  if (key === undefined || item === undefined) return mendTop(draft, found, book);
  const say = (what: string) => book.lost(item.place, `${what}: ${found.message}`, found.hint);
  if (key === "triggers" || key === "inputs") {
    draft[key] = draft[key].filter((one) => one !== item);
    say(`This ${key === "triggers" ? "start" : "input"} is left out`);
    return true;
  }
  if (inner[0] === "if") {
    if (item.value["if"] === false) return false;
    item.value["if"] = false;
    say("The condition cannot be carried over, so the task is switched off");
    return true;
  }
  if (inner[0] === "id") return false;
  const isPart = inner.length > 0 && inner[0] !== "run" && inner[0] !== "type" && !(inner[0] === "inputs" && found.code === "MISSING_KEY");
  if (isPart && remove(item.value, inner)) return (say(`"${inner.join(".")}" is left out`), true);
  return switchOff(item, say);
}

/** In place of a task that cannot stand: what needs it does not run either. */
function switchOff(item: DraftItem, say: (what: string) => void): boolean {
  const { id = "", needs, type } = item.value;
  if (type === "core/value.set") return false;
  item.value = { id, ...(needs === undefined ? {} : { needs }), type: "core/value.set", if: false };
  say("The task is switched off");
  return true;
}

function mendTop(draft: Draft, found: Diagnostic, book: Notebook): boolean {
  const say = (what: string) => book.lost(draft.place, `${what} is left out: ${found.message}`, found.hint);
  const [key, name] = keysOf(found.path);
  if (key === "labels" && typeof name === "string" && Object.hasOwn(draft.labels, name)) {
    delete draft.labels[name];
    return (say(`The label "${name}"`), true);
  }
  if (key === "name" || key === "description" || key === "timeout" || key === "concurrency") {
    if (draft[key] === null) return false;
    draft[key] = null;
    return (say(`"${key}"`), true);
  }
  return false;
}

/**
 * The YAML of a draft, which has no errors.
 * @throws WORKFLOW_INVALID where the source has nothing that could run; `details.diagnostics` says why
 */
export function finishDraft(draft: Draft, book: Notebook): string {
  for (let round = 0; round < roundsMax; round++) {
    const text = renderDraft(draft);
    const errors = check(text).filter((found) => found.severity === "error");
    if (!hasErrors(errors)) return text;
    // From the end, so that positions in lists stay those of the finding.
    const mended = errors.toReversed().filter((found) => mend(draft, found, book));
    if (mended.length === 0) throw refusal(draft, errors);
  }
  throw refusal(draft, check(renderDraft(draft)));
}

function refusal(draft: Draft, diagnostics: Diagnostic[]): Error {
  return fail("WORKFLOW_INVALID", `Cannot import "${draft.id}": the language refuses the result`, { details: { diagnostics } });
}
