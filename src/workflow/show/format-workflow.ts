// `workflow fmt`: one layout for all sources, comments kept. Keys stand in the order in which the language describes them.
import { type Document, isMap, isScalar, isSeq, type Pair, parseDocument, visit, type YAMLMap } from "yaml";
import { fail } from "../../base/index.ts";
import { workflowShape } from "../check/keys.ts";
import type { Shape } from "../check/shape.ts";
import { readYaml } from "../source/read-yaml.ts";
import { createReport } from "../source/report.ts";
import { createSourceText } from "../source/source-text.ts";

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : "";
}

/** The shape of a map's values, and the order of its keys where the language fixes one. */
function keysOf(shape: Shape, map: YAMLMap): { order: string[]; of: (key: string) => Shape | undefined } {
  if (shape.is === "keys") return { order: Object.keys(shape.keys), of: (key) => shape.keys[key]?.shape };
  if (shape.is === "map") return { order: [], of: () => shape.of };
  if (shape.is === "variants") {
    const variant = shape.of[String(map.get(shape.by))];
    if (variant !== undefined) return keysOf(variant, map);
  }
  return { order: [], of: () => undefined };
}

function sortKeys(node: unknown, shape: Shape | undefined): void {
  if (shape === undefined) return;
  if (shape.is === "either") return shape.of.forEach((one) => sortKeys(node, one));
  if (isSeq(node) && shape.is === "list") return node.items.forEach((item) => sortKeys(item, shape.of));
  if (!isMap(node)) return;
  const { order, of } = keysOf(shape, node);
  const rank = new Map(order.map((key, index) => [key, index]));
  if (order.length > 0) node.items.sort((a, b) => (rank.get(keyText(a)) ?? order.length) - (rank.get(keyText(b)) ?? order.length));
  for (const pair of node.items) sortKeys(pair.value, of(keyText(pair)));
}

/** The library gives all comments above the first key to that key; what a blank line parts from it is about the file, and stays on top. */
function keepFileComment(document: Document): void {
  const first = isMap(document.contents) ? document.contents.items[0]?.key : undefined;
  if (!isScalar(first) || typeof first.commentBefore !== "string") return;
  const blank = first.commentBefore.lastIndexOf("\n\n");
  if (blank === -1) return;
  document.commentBefore = [document.commentBefore, first.commentBefore.slice(0, blank)].filter((part) => typeof part === "string").join("\n\n");
  first.commentBefore = first.commentBefore.slice(blank + 2);
}

function usesAliases(document: Document): boolean {
  let found = false;
  visit(document, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

function print(document: Document): string {
  return document.toString({ indent: 2, lineWidth: 0, flowCollectionPadding: false, indentSeq: true, singleQuote: null });
}

function formatOnce(source: string): string {
  const document = parseDocument(source, { uniqueKeys: false, prettyErrors: false });
  // An alias must come after its anchor, so a source with aliases keeps its order.
  keepFileComment(document);
  if (!usesAliases(document)) sortKeys(document.contents, workflowShape);
  return print(document);
}

function isJson(source: string): boolean {
  if (!source.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(source);
    return true;
  } catch {
    return false;
  }
}

/** JSON stays JSON, in the same order of keys. */
function formatJson(source: string): string {
  const document = parseDocument(source, { uniqueKeys: false, prettyErrors: false });
  sortKeys(document.contents, workflowShape);
  return `${JSON.stringify(document.toJS({ maxAliasCount: 0 }), null, 2)}\n`;
}

const passesMax = 4;

/** Aliases were counted when the source was read, so the library's own bound is not needed. */
function valueOf(source: string): unknown {
  return parseDocument(source, { uniqueKeys: false, prettyErrors: false }).toJS({ maxAliasCount: -1 });
}

/**
 * The same workflow in the one layout; formatting a result again changes nothing.
 * @throws WORKFLOW_INVALID when the source is not one well-formed document; `details.diagnostics` says where
 */
export function formatWorkflow(source: string, file = "workflow.yaml"): string {
  const text = createSourceText(source, file);
  const report = createReport(text);
  readYaml(text, report);
  if (report.hasErrors())
    throw fail("WORKFLOW_INVALID", `Cannot format "${file}": it is not well-formed`, { details: { diagnostics: report.list() } });
  if (isJson(source)) return formatJson(source);
  let current = formatOnce(source);
  for (let pass = 0; pass < passesMax; pass++) {
    const next = formatOnce(current);
    if (next === current) break;
    current = next;
  }
  const same = Bun.deepEquals(valueOf(source), valueOf(current));
  if (!same) throw fail("INTERNAL", `Cannot format "${file}": the result would mean something else`);
  return current;
}
