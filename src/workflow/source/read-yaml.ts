// YAML or JSON text to the raw tree. Every bound on hostile documents is here: nesting, tokens, aliases, merge keys.
import { Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, type Pair, Parser, type Scalar, type YAMLMap, type YAMLSeq } from "yaml";
import type { RawEntry, RawMap, RawNode, ScalarStyle } from "./raw-node.ts";
import type { Report } from "./report.ts";
import type { SourceText, Span } from "./source-text.ts";

/** Deep enough for any workflow, and far from the parser's own stack. */
const depthMax = 64;
/** A workflow of the largest size has a third of it; beyond it parsing takes seconds. */
const tokensMax = 450_000;
/** Nodes with aliases counted as often as they are used: what a billion-laughs document multiplies. */
const nodesMax = 250_000;
const aliasesMax = 1000;

type Refusal = { code: "YAML_SYNTAX" | "YAML_LIMIT"; message: string; at: Span; hint?: string };

function refuse(refusal: Refusal): never {
  throw new YamlRefusal(refusal);
}

/** Carries one refusal out of the recursion; caught in `readYaml` and nowhere else. */
class YamlRefusal extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Feeds the parser token by token, so that a document that only nests is refused before it costs anything. */
function* boundedTokens(text: string) {
  const parser = new Parser();
  let offset = 0;
  let count = 0;
  let flow = 0;
  let dashes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    const at = { start: offset, end: offset + 1 };
    if (++count > tokensMax) refuse({ code: "YAML_LIMIT", message: `The document has more than ${tokensMax} tokens`, at });
    if (lexeme === "[" || lexeme === "{") flow++;
    else if (lexeme === "]" || lexeme === "}") flow--;
    else if (lexeme === "-" || lexeme === "?") dashes++;
    else if (lexeme.endsWith("\n")) dashes = 0;
    if (Math.max(flow, dashes) > depthMax) refuse({ code: "YAML_LIMIT", message: `The document is nested deeper than ${depthMax}`, at });
    yield* parser.next(lexeme);
    // The lexer's own marks (\u0002, \u0018, \u001f) stand for no text.
    if (lexeme.length !== 1 || !"\u0002\u0018\u001f".includes(lexeme)) offset += lexeme.length;
  }
  yield* parser.end();
}

function compose(text: string): Document.Parsed {
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false, keepSourceTokens: false });
  let first: Document.Parsed | null = null;
  for (const document of composer.compose(boundedTokens(text), true, text.length)) {
    if (first !== null) {
      const start = document.range[0];
      refuse({ code: "YAML_SYNTAX", message: "The file holds more than one document", at: { start, end: start + 3 } });
    }
    first = document as Document.Parsed;
  }
  return first ?? refuse({ code: "YAML_SYNTAX", message: "The file holds no document", at: { start: 0, end: 0 } });
}

type Reader = { text: string; anchors: Map<string, RawNode | "open">; aliases: number; report: Report };

const styles: Record<string, ScalarStyle> = {
  PLAIN: "plain",
  QUOTE_SINGLE: "single",
  QUOTE_DOUBLE: "double",
  BLOCK_LITERAL: "block",
  BLOCK_FOLDED: "block",
};

function spanOf(node: { range?: [number, number, number] | null }): Span {
  return { start: node.range?.[0] ?? 0, end: node.range?.[1] ?? 0 };
}

function tooLarge(node: RawNode, depth: number): RawNode {
  const at = { start: node.start, end: node.start + 1 };
  if (depth + node.height > depthMax) refuse({ code: "YAML_LIMIT", message: `The document is nested deeper than ${depthMax}`, at });
  if (node.size > nodesMax) refuse({ code: "YAML_LIMIT", message: `The document has more than ${nodesMax} nodes when its aliases are followed`, at });
  return node;
}

function readScalar(node: Scalar): RawNode {
  const { value } = node;
  const kept = value === null || typeof value === "boolean" || typeof value === "number" ? value : String(value);
  return { kind: "scalar", ...spanOf(node), value: kept, style: styles[node.type ?? "PLAIN"] ?? "plain", height: 0, size: 1 };
}

function readAlias(reader: Reader, name: string, at: Span): RawNode {
  if (++reader.aliases > aliasesMax) refuse({ code: "YAML_LIMIT", message: `The document has more than ${aliasesMax} aliases`, at });
  const target = reader.anchors.get(name);
  if (target === undefined) return refuse({ code: "YAML_SYNTAX", message: `The alias "${name}" has no anchor before it`, at });
  if (target === "open") return refuse({ code: "YAML_LIMIT", message: `The alias "${name}" stands inside its own anchor`, at });
  return target;
}

function readNode(reader: Reader, node: unknown, depth: number, missing: Span): RawNode {
  if (isAlias(node)) return tooLarge(readAlias(reader, node.source, spanOf(node)), depth);
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return { kind: "scalar", ...missing, value: null, style: "plain", height: 0, size: 1 };
  if (depth > depthMax) refuse({ code: "YAML_LIMIT", message: `The document is nested deeper than ${depthMax}`, at: spanOf(node) });
  if (node.anchor !== undefined) reader.anchors.set(node.anchor, "open");
  const raw = isScalar(node) ? readScalar(node) : isSeq(node) ? readList(reader, node, depth) : readMap(reader, node, depth);
  if (node.anchor !== undefined) reader.anchors.set(node.anchor, raw);
  return tooLarge(raw, depth);
}

function readList(reader: Reader, node: YAMLSeq, depth: number): RawNode {
  const at = spanOf(node);
  const items = node.items.map((item) => readNode(reader, item, depth + 1, { start: at.start, end: at.start }));
  const height = items.reduce((most, item) => Math.max(most, item.height + 1), 0);
  return { kind: "list", ...at, items, height, size: items.reduce((sum, item) => sum + item.size, 1) };
}

function isUnquotedExpression(reader: Reader, node: YAMLMap): boolean {
  const first = node.items[0];
  return node.flow === true && node.items.length === 1 && isMap(first?.key) && reader.text.startsWith("{{", node.range?.[0] ?? 0);
}

function readMap(reader: Reader, node: YAMLMap, depth: number): RawNode {
  const map: RawMap = { kind: "map", ...spanOf(node), entries: new Map(), unquoted: isUnquotedExpression(reader, node), height: 0, size: 1 };
  if (map.unquoted) return map;
  const merges: RawNode[] = [];
  for (const pair of node.items) readPair({ reader, map, merges, pair, depth });
  for (const merge of merges) mergeInto(reader, map, merge);
  for (const { value } of map.entries.values()) {
    map.height = Math.max(map.height, value.height + 1);
    map.size += value.size;
  }
  return map;
}

function readPair({ reader, map, merges, pair, depth }: { reader: Reader; map: RawMap; merges: RawNode[]; pair: Pair; depth: number }): void {
  const key = isAlias(pair.key) ? readAlias(reader, pair.key.source, spanOf(pair.key)) : readNode(reader, pair.key, depth + 1, map);
  const keyAt = spanOf((pair.key ?? {}) as { range?: [number, number, number] });
  if (key.kind !== "scalar") refuse({ code: "YAML_SYNTAX", message: "A key must be text", at: keyAt });
  const value = readNode(reader, pair.value, depth + 1, { start: keyAt.start, end: keyAt.end });
  if (isScalar(pair.key) && pair.key.type === "PLAIN" && pair.key.source === "<<") return void merges.push(value);
  const name = key.kind === "scalar" ? (isScalar(pair.key) && typeof pair.key.source === "string" ? pair.key.source : String(key.value)) : "";
  const entry: RawEntry = { key: name, keyAt, value };
  if (map.entries.has(name)) reader.report.add({ code: "YAML_SYNTAX", path: "", message: `The key "${name}" stands twice in one map`, at: keyAt });
  else map.entries.set(name, entry);
}

/** A merge key gives what the map does not have itself; earlier maps of a list win over later ones. */
function mergeInto(reader: Reader, map: RawMap, merge: RawNode): void {
  for (const source of merge.kind === "list" ? merge.items : [merge]) {
    if (source.kind !== "map") {
      reader.report.add({ code: "YAML_SYNTAX", path: "", message: "A merge key takes a map, or a list of maps", at: source });
      continue;
    }
    for (const [key, entry] of source.entries) if (!map.entries.has(key)) map.entries.set(key, entry);
  }
}

const unquotedLine = /(?:^|[:\-,[{])\s*(\{\{)/g;

/** Where the line of a syntax error starts a value with `{{`, the missing quotes are the cause. */
function unquotedBefore(source: SourceText, offset: number): Span | null {
  const lineStart = source.text.lastIndexOf("\n", Math.max(0, offset - 1)) + 1;
  for (const match of source.text.slice(lineStart, source.lineEnd(lineStart)).matchAll(unquotedLine)) {
    const start = lineStart + match.index + match[0].length - 2;
    if (start <= offset) return { start, end: start + 2 };
  }
  return null;
}

const unquotedMessage = "Quote the expression: without quotes YAML reads {{ as a map";

function reportErrors(source: SourceText, document: Document.Parsed, report: Report): void {
  for (const problem of [...document.errors, ...document.warnings].slice(0, 20)) {
    const [start, end] = problem.pos;
    const unquoted = unquotedBefore(source, start);
    if (String(problem.code) === "RESOURCE_EXHAUSTION")
      report.add({ code: "YAML_LIMIT", path: "", message: "The document is nested too deep", at: { start, end } });
    else if (unquoted === null) report.add({ code: "YAML_SYNTAX", path: "", message: firstLine(problem.message), at: { start, end } });
    else return report.add({ code: "EXPR_UNQUOTED", path: "", message: unquotedMessage, at: unquoted });
  }
}

function firstLine(message: string): string {
  const line = message.split("\n", 1)[0] ?? message;
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;

/** The raw tree of a document, null when the text is not one well-formed document within the bounds; `report` then says why. */
export function readYaml(source: SourceText, report: Report): RawNode | null {
  const forbidden = source.text.search(control);
  if (forbidden !== -1) {
    report.add({ code: "YAML_SYNTAX", path: "", message: "The file holds a control character", at: { start: forbidden, end: forbidden + 1 } });
    return null;
  }
  try {
    const document = compose(source.text);
    reportErrors(source, document, report);
    if (report.hasErrors()) return null;
    if (document.contents === null) refuse({ code: "YAML_SYNTAX", message: "The file is empty", at: { start: 0, end: 0 } });
    const tree = readNode({ text: source.text, anchors: new Map(), aliases: 0, report }, document.contents, 0, { start: 0, end: 0 });
    return report.hasErrors() ? null : tree;
  } catch (thrown) {
    const known = thrown instanceof YamlRefusal ? thrown.refusal : null;
    if (known === null && !(thrown instanceof RangeError)) throw thrown;
    report.add({ path: "", ...(known ?? { code: "YAML_LIMIT", message: "The document is nested too deep", at: { start: 0, end: 0 } }) });
    return null;
  }
}
