// The steps of a DAG in order, with the tasks that they become and what these need.
import { limits } from "../../base/index.ts";
import { memberOf } from "../source/raw-node.ts";
import { taskId } from "./names.ts";
import type { Notebook } from "./notes.ts";
import { type Field, isTrue, itemFields, openMap, scalarText, type SourceMap } from "./source-map.ts";

export type DaguStep = {
  field: Field;
  /** Null for a step that is only a command. */
  map: SourceMap | null;
  command: Field | null;
  name: string | null;
  taskId: string;
  needs: string[];
  /** Whether what needs it runs although this was skipped, or failed. */
  goesOn: { skipped: boolean; failure: boolean };
  /** The variable that later steps read its standard output from. */
  output: string | null;
};

/** A key in either of the two ways in which Dagu spells it. */
export function takeKey(map: SourceMap, key: string): Field | null {
  return map.take(key) ?? map.take(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

function readContinue(map: SourceMap, book: Notebook): DaguStep["goesOn"] {
  const field = takeKey(map, "continueOn");
  if (field === null) return { skipped: false, failure: false };
  if (field.node.kind === "scalar") {
    const word = scalarText(field.node) ?? "";
    if (word !== "failed" && word !== "failure" && word !== "skipped") book.lost(field, "This continueOn is not carried over");
    return { skipped: word === "skipped", failure: word.startsWith("fail") };
  }
  const inner = openMap(field, book);
  const failure = inner.take("failure") ?? inner.take("failed");
  const skipped = inner.take("skipped");
  for (const key of ["exitCode", "exit_code", "output"])
    inner.leave(key, `"${key}" of continueOn is not carried over`, "Test it in the script, and exit 0.");
  for (const key of ["markSuccess", "mark_success"]) {
    const mark = inner.take(key);
    if (mark !== null) book.changed(mark, "A failure that is allowed never makes an execution fail");
  }
  inner.rest("continueOn");
  return { failure: failure !== null && isTrue(failure.node), skipped: skipped !== null && isTrue(skipped.node) };
}

function readOutput(map: SourceMap, book: Notebook): string | null {
  const field = map.take("output");
  if (field === null) return null;
  const isMap = field.node.kind === "map";
  const inner = isMap ? openMap(field, book) : null;
  const name = scalarText(inner?.take("name")?.node ?? (isMap ? undefined : field.node))?.replace(/^\$\{?|\}$/g, "") ?? "";
  inner?.rest("output");
  if (/^[A-Za-z_]\w*$/.test(name)) return name;
  book.lost(field, "This output is not carried over", 'Write echo "name=value" >> "$WORKFLOW_OUTPUT", and read tasks.ID.output.name.');
  return null;
}

/** The steps as written: a list, with groups that run side by side, or a map by name. */
function stepFields(steps: Field, book: Notebook): Field[][] {
  if (steps.node.kind === "map")
    return openMap(steps, book)
      .takeAll()
      .map((field) => [field]);
  return itemFields(steps).map((field) => (field.node.kind === "list" ? itemFields(field) : [field]));
}

type Open = { step: DaguStep; depends: Field | null; group: number };

function openStep(
  field: Field,
  isNamed: boolean,
  context: { unique: (wanted: string) => string; group: number; count: number; book: Notebook },
): Open {
  const { unique, group, count, book } = context;
  const fallback = `step-${count}`;
  if (field.node.kind !== "map") {
    const bare = { field, map: null, command: field, name: null, output: null, needs: [], goesOn: { skipped: false, failure: false } };
    return { step: { ...bare, taskId: unique(fallback) }, depends: null, group };
  }
  const map = openMap(field, book);
  const name = scalarText(map.take("name")?.node) ?? (isNamed ? field.key : null);
  const id = scalarText(map.take("id")?.node);
  const step = { field, map, command: map.take("command"), name, needs: [], goesOn: readContinue(map, book), output: readOutput(map, book) };
  return { step: { ...step, taskId: unique(taskId(id ?? name ?? "", fallback)) }, depends: map.take("depends"), group };
}

function wanted(depends: Field): Field[] {
  return itemFields(depends).filter(({ node }) => scalarText(node) !== "" && scalarText(node) !== null);
}

function resolveNeeds(open: readonly Open[], isChain: boolean, book: Notebook): void {
  const byName = new Map<string, string>();
  for (const { step } of open) {
    const id = scalarText(memberOf(step.field.node, "id"));
    for (const name of [step.name, id]) if (name !== null) byName.set(name, step.taskId);
  }
  for (const one of open) {
    if (one.depends === null) {
      const before = open.filter(({ group }) => group === one.group - 1);
      if (isChain) one.step.needs = before.map(({ step }) => step.taskId);
      continue;
    }
    for (const field of wanted(one.depends)) {
      const found = byName.get(scalarText(field.node) ?? "");
      if (found === undefined) book.lost(field, `There is no step "${String(scalarText(field.node)).slice(0, 100)}" to depend on`);
      else one.step.needs.push(found);
    }
  }
}

/** Whether steps follow each other by themselves. Before `type` existed they did not; since then they do. */
function followsOrder(kind: Field | null, steps: Field, open: readonly Open[], book: Notebook): boolean {
  const word = scalarText(kind?.node);
  if (word === "chain" || word === "graph") return word === "chain";
  if (kind !== null) book.lost(kind, `The type "${String(word).slice(0, 50)}" is not carried over`);
  if (open.some(({ depends }) => depends !== null)) return false;
  if (open.length > 1)
    book.changed(
      steps,
      'No step says what it depends on, so each needs the one before, as in "type: chain"',
      "Remove needs: where steps may run side by side.",
    );
  return true;
}

/** All steps with their needs. */
export function readSteps(
  steps: Field | null,
  kind: Field | null,
  { unique, book }: { unique: (wanted: string) => string; book: Notebook },
): DaguStep[] {
  if (steps === null) return [];
  let count = 0;
  const isNamed = steps.node.kind === "map";
  const size = steps.node.kind === "map" ? steps.node.entries.size : steps.node.kind === "list" ? steps.node.items.length : 0;
  if (size > limits.tasksMax) {
    book.lost(steps, `More than ${limits.tasksMax} steps are more than a workflow may have: none is carried over`);
    return [];
  }
  const open = stepFields(steps, book).flatMap((group, index) =>
    group.map((field) => openStep(field, isNamed, { unique, group: index, count: ++count, book })),
  );
  resolveNeeds(open, followsOrder(kind, steps, open, book), book);
  return open.map(({ step }) => step);
}

/** Tasks that have ended before a task starts. */
export function upstreamOf(needs: readonly string[], steps: ReadonlyMap<string, DaguStep>): Set<string> {
  const seen = new Set(needs);
  for (const id of seen) for (const need of steps.get(id)?.needs ?? []) seen.add(need);
  return seen;
}
