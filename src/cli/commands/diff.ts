// diff ID [A] [B]: what changed between two revisions' texts.
import { fail } from "../../base/index.ts";
import type { CliContext } from "../context.ts";
import { diffLines, groupHunks, type LineChange } from "../line-diff.ts";
import { parseCount } from "../option-values.ts";
import { visible, visibleLine } from "../render/visible.ts";

type DiffValues = { id: string; a: string | null; b: string | null; context: string | null };

const marks = { same: " ", removed: "-", added: "+" } as const;

export async function diffRevisions(context: CliContext, values: DiffValues): Promise<void> {
  const bounds = { min: 1, max: Number.MAX_SAFE_INTEGER };
  const given = { a: parseCount("A", values.a, bounds), b: parseCount("B", values.b, bounds) };
  const around = parseCount("--context", values.context, { min: 0, max: 100_000 }) ?? 3;
  const { facade } = await context.connect();
  const current = (await facade.getWorkflow(values.id)).revision;
  const to = given.b ?? current;
  const from = given.a ?? current - 1;
  if (from < 1) throw fail("WORKFLOW_NOT_FOUND", `Cannot compare revisions of "${values.id}": there is only revision ${current}`);
  const [before, after] = [await facade.getRevision(values.id, from), await facade.getRevision(values.id, to)];
  const changes = diffLines(before.source, after.source);
  const hunks = groupHunks(changes, around);
  const render = (change: LineChange) => `${marks[change.kind]}${change.line}`;
  if (context.common.json) {
    const diff = hunks.map((hunk) => `${[hunk.header, ...hunk.changes.map(render)].join("\n")}\n`).join("");
    return context.printJson({ id: values.id, from, to, changed: hunks.length > 0, diff });
  }
  if (hunks.length === 0) return context.note(`Revisions ${from} and ${to} of ${visibleLine(values.id)} have the same text.`);
  const { style } = context;
  const paints = { same: (text: string) => text, removed: style.red, added: style.green };
  const head = [`--- ${values.id} revision ${from}`, `+++ ${values.id} revision ${to}`].map((line) => style.bold(visibleLine(line)));
  const body = hunks.flatMap((hunk) => [style.cyan(hunk.header), ...hunk.changes.map((change) => paints[change.kind](visible(render(change))))]);
  context.print(`${[...head, ...body].join("\n")}\n`);
}
