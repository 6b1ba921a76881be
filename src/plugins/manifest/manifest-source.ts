// The text of a manifest as plain values, and where each of them stands.
import { isMap, isNode, isScalar, isSeq, Lexer, LineCounter, type Node, parseDocument } from "yaml";
import { isObject, type JsonObject, toErrorBody, toIJson } from "../../base/index.ts";
import type { Diagnostic, DiagnosticCode } from "../../model/index.ts";

/** A finding before it has its place; `onKey`: it is about the key, not about its value. */
export type ManifestFinding = {
  code: DiagnosticCode;
  at: readonly string[];
  message: string;
  warning?: boolean;
  hint?: string;
  onKey?: boolean;
};

export type ManifestSource = {
  /** Null when the text is not one map; the findings then say why. */
  values: JsonObject | null;
  findings: ManifestFinding[];
  toDiagnostic(finding: ManifestFinding): Diagnostic;
};

/** Enough for any honest manifest; an alias bomb expands to more. */
const aliasesMax = 100;
/** The parser nests as the text does, and takes seconds for thousands of brackets. */
const depthMax = 64;
const tokensMax = 100_000;

/** Looks at the tokens alone, which is cheap whatever they say. */
function isTooDeep(text: string): boolean {
  let count = 0;
  let flow = 0;
  let dashes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === "[" || lexeme === "{") flow++;
    else if (lexeme === "]" || lexeme === "}") flow--;
    else if (lexeme === "-" || lexeme === "?") dashes++;
    else if (lexeme.endsWith("\n")) dashes = 0;
    if (++count > tokensMax || Math.max(flow, dashes) > depthMax) return true;
  }
  return false;
}

export function readManifestSource(text: string, file: string): ManifestSource {
  const lines = new LineCounter();
  let root: Node | null = null;
  const toDiagnostic = (finding: ManifestFinding, offset = offsetOf(root, finding)): Diagnostic => {
    const { line, col } = lines.linePos(offset);
    const { code, message, warning = false, hint } = finding;
    const head = { severity: warning ? "warning" : "error", code, path: pathOf(finding.at), message, file } as const;
    return { ...head, line: Math.max(1, line), column: Math.max(1, col), ...(hint === undefined ? {} : { hint }) };
  };
  const refuse = (code: DiagnosticCode, message: string, offset = 0): ManifestSource => {
    const finding = { code, at: [], message };
    return { values: null, findings: [finding], toDiagnostic: (one) => toDiagnostic(one, one === finding ? offset : undefined) };
  };
  if (isTooDeep(text)) return refuse("YAML_LIMIT", `The manifest is nested deeper than ${depthMax}, or has more than ${tokensMax} tokens`);
  try {
    const document = parseDocument(text, { lineCounter: lines, version: "1.2", prettyErrors: false, merge: true });
    const [syntax] = document.errors;
    if (syntax !== undefined) return refuse("YAML_SYNTAX", syntax.message.split("\n", 1)[0] ?? syntax.message, syntax.pos[0]);
    root = document.contents;
    const value = toIJson(document.toJS({ maxAliasCount: aliasesMax }) ?? null);
    if (!isObject(value)) return refuse("WRONG_TYPE", "A manifest must be a map");
    return { values: value as JsonObject, findings: [], toDiagnostic };
  } catch (thrown) {
    // Nested too deep for the parser, too many aliases, or numbers that no JSON holds.
    return refuse("YAML_LIMIT", `The manifest cannot be read: ${toErrorBody(thrown).message.replace(/^Internal error: /, "")}`);
  }
}

/** `actions[0].name` */
function pathOf(at: readonly string[]): string {
  return at.map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
}

/** Where a finding is: as deep as the source goes towards it. */
function offsetOf(root: Node | null, { at, onKey = false }: ManifestFinding): number {
  let node: unknown = root;
  let offset = startOf(root) ?? 0;
  for (const [index, part] of at.entries()) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
      if (pair === undefined) return offset;
      node = pair.value;
      const isKeyMeant = (onKey && index === at.length - 1) || startOf(pair.value) === null;
      offset = startOf(isKeyMeant ? pair.key : pair.value) ?? offset;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

function startOf(node: unknown): number | null {
  return isNode(node) ? (node.range?.[0] ?? null) : null;
}
