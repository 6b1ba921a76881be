// Every way in which one module names another: import, export from, import(), import types and require, types included.
import { posix } from "node:path";
import ts from "typescript";
import { parse, walk } from "./source.ts";
import type { SourceFile } from "./source.ts";

export type Import = {
  node: ts.Node;
  /** As written: a package, or a relative path. */
  specifier: string;
  /** Path from the root for relative specifiers, null for packages. */
  target: string | null;
  /** Imported names as the other module calls them; `*` for the whole module. */
  names: string[];
  /** True for `with { type: "file" | "text" }`, which embeds bytes and runs nothing. */
  embeds: boolean;
};

export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  walk(parse(file), (node) => {
    const specifier = specifierOf(node);
    if (specifier === null) return;
    const target = specifier.startsWith(".") ? posix.normalize(posix.join(posix.dirname(file.path), specifier)) : null;
    found.push({ node, specifier, target, names: namesOf(node), embeds: isEmbedding(node) });
  });
  return found;
}

function specifierOf(node: ts.Node): string | null {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return textOf(node.moduleSpecifier);
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? textOf(node.argument.literal) : null;
  if (!ts.isCallExpression(node)) return null;
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === "require";
  return isImport || isRequire ? textOf(node.arguments[0]) : null;
}

function textOf(node: ts.Node | undefined): string | null {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : null;
}

function namesOf(node: ts.Node): string[] {
  const bindings = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : ts.isExportDeclaration(node) ? node.exportClause : undefined;
  if (bindings === undefined || ts.isNamespaceImport(bindings) || ts.isNamespaceExport(bindings)) return ["*"];
  return bindings.elements.map((element) => (element.propertyName ?? element.name).text);
}

function isEmbedding(node: ts.Node): boolean {
  if (!ts.isImportDeclaration(node)) return false;
  const elements = node.attributes?.elements ?? [];
  return elements.some((element) => element.name.text === "type" && ["file", "text"].includes(textOf(element.value) ?? ""));
}
