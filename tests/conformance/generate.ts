// Makes docs/conformance.md: every deliverable of the checklist with the tests whose titles carry its id.
// A deliverable is proved by a test that runs, so skipped tests and plans for tests do not count.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { generatedNote, renderTable } from "../../.ci/docs/table.ts";

type Deliverable = { id: string; text: string };
type TestFile = { path: string; text: string };
/** A title with the ids that open it, `[WF-01]` or `[WF-01, WF-02]` or `[WF-01] [WF-02]`. */
export type Proof = { ids: string[]; title: string; path: string; line: number };

const areas: readonly { prefix: string; heading: string }[] = [
  { prefix: "WF-", heading: "Workflow engine" },
  { prefix: "CRA-", heading: "TRACE, CARP, atlases, registry, governance" },
  { prefix: "ART-", heading: "Artifact contract" },
  { prefix: "MEC-", heading: "Objectives" },
];

const idPattern = "(?:WF|CRA|ART|MEC)-[A-Z]?[0-9]+(?:\\.[0-9]+)?";
const opening = new RegExp(`^(?:\\s*\\[${idPattern}(?:,\\s*${idPattern})*\\])+`);

/** Finds the titles with ids in one test file. */
export function findProofs({ path, text }: TestFile): Proof[] {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  const proofs: Proof[] = [];
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    const title = titleOf(node);
    const ids = title === null ? null : opening.exec(title)?.[0].match(new RegExp(idPattern, "g"));
    if (title === null || ids === null || ids === undefined) return;
    proofs.push({ ids, title, path, line: tree.getLineAndCharacterOfPosition(node.getStart()).line + 1 });
  };
  visit(tree);
  return proofs.toSorted((a, b) => a.line - b.line);
}

/** The title of a call of test, it, describe, or of something named after them such as rootTest. */
function titleOf(node: ts.Node): string | null {
  if (!ts.isCallExpression(node) || !isTester(node.expression)) return null;
  const [first] = node.arguments;
  if (first === undefined) return null;
  if (ts.isStringLiteralLike(first)) return first.text;
  return ts.isTemplateExpression(first) ? first.head.text : null;
}

function isTester(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return /^(test|it|describe)$|(Test|It|Describe)$/.test(callee.text);
  if (ts.isCallExpression(callee)) return isTester(callee.expression);
  return ts.isPropertyAccessExpression(callee) && !["skip", "todo"].includes(callee.name.text) && isTester(callee.expression);
}

/** The document. Throws on an id that the checklist does not have, since that is a slip of the pen. */
export function renderTableOfProofs(checklist: readonly Deliverable[], proofs: readonly Proof[]): string {
  const byId = new Map<string, Set<string>>(checklist.map(({ id }) => [id, new Set()]));
  for (const proof of proofs) {
    for (const id of proof.ids) {
      const paths = byId.get(id);
      if (paths === undefined) throw new Error(`${proof.path}:${proof.line}: the checklist has no ${id}`);
      paths.add(proof.path);
    }
  }
  const isMet = ({ id }: Deliverable): boolean => (byId.get(id)?.size ?? 0) > 0;
  const sections = areas.map(({ prefix, heading }) => {
    const wanted = checklist.filter(({ id }) => id.startsWith(prefix));
    const rows = wanted.map(({ id, text }) => [id, text, [...(byId.get(id) ?? [])].toSorted().map(renderLink).join(", ") || "**open**"]);
    return `## ${heading}: ${wanted.filter(isMet).length} of ${wanted.length}\n\n${renderTable(["id", "deliverable", "tests"], rows)}`;
  });
  const met = `${checklist.filter(isMet).length} of ${checklist.length}`;
  const summary = `${met} deliverables have a test with their id in its title, the others are open. \`npm test\` tells which tests pass.`;
  return `${[generatedNote, "# Conformance", summary, ...sections].join("\n\n")}\n`;
}

function renderLink(path: string): string {
  return `[${path.replace(/^tests\//, "")}](../${path})`;
}

/** docs/conformance.md for the repository at `root`. */
export async function renderConformance(root: string): Promise<string> {
  const checklist: Deliverable[] = JSON.parse(await readFile(join(root, "tests/conformance/checklist.json"), "utf8"));
  const names = await readdir(join(root, "tests"), { recursive: true });
  const paths = names
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `tests/${name.replaceAll("\\", "/")}`)
    .toSorted();
  const files = await Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(root, path), "utf8") })));
  return renderTableOfProofs(checklist, files.flatMap(findProofs));
}
