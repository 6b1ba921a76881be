// Warnings about parts that are well-formed, but that this version does not run yet, each at its place in the source.
import { entryOf, memberOf, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import type { Span } from "../source/source-text.ts";
import type { UnavailablePart } from "../unavailable-parts.ts";

/** The key that a path of plain words ends with; the last one on the way that is written out, where it is not. */
function placeOf(root: RawNode, path: string): Span {
  let at: RawNode = root;
  let span: Span = { start: root.start, end: root.start + 1 };
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    const entry = entryOf(at, step);
    const inner: RawNode | undefined = at.kind === "list" ? at.items[Number(step)] : entry?.value;
    if (inner === undefined) break;
    span = entry?.keyAt ?? { start: inner.start, end: inner.start + 1 };
    at = inner;
  }
  return span;
}

export function reportUnavailable(root: RawNode, parts: readonly UnavailablePart[], report: Report): void {
  for (const { path, what } of parts) {
    // Both ways of writing triggers have become one in the definition.
    const written = path === "triggers" && memberOf(root, "triggers") === undefined ? "trigger" : path;
    const message = `Not available in this version: ${what}`;
    report.add({ code: "NOT_AVAILABLE_YET", path: written, message, at: placeOf(root, written), warning: true });
  }
}
