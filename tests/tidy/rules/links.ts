// Links in README and docs that point into the repository must point at something.
import { posix } from "node:path";
import type { Rule, SourceFile, Violation } from "../source.ts";

const link = /\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)/g;

export const links: Rule = (files) => {
  const known = new Set(files.flatMap(({ path }) => path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"))));
  return files
    .filter(({ path }) => path === "README.md" || (path.startsWith("docs/") && path.endsWith(".md")))
    .flatMap((file) => brokenLinks(file, known));
};

function brokenLinks(file: SourceFile, known: ReadonlySet<string>): Violation[] {
  const found: Violation[] = [];
  let isFenced = false;
  file.text.split("\n").forEach((line, index) => {
    if (/^\s*(```|~~~)/.test(line)) isFenced = !isFenced;
    if (isFenced) return;
    for (const match of line.replaceAll(/`[^`]*`/g, "").matchAll(link)) {
      const target = match[1] ?? match[2] ?? "";
      if (/^([a-z][a-z0-9+.-]*:|#)/i.test(target)) continue;
      const path = posix.join(posix.dirname(file.path), decodeURI(target.split("#")[0] ?? "")).replace(/\/$/, "");
      if (path !== "." && !known.has(path)) found.push({ rule: "links", path: file.path, line: index + 1, message: `${target} does not exist` });
    }
  });
  return found;
}
