// Generated files must equal what their generator gives now.
import type { Rule } from "../source.ts";

export function freshWith(rendered: readonly { path: string; text: string }[]): Rule {
  return (files) =>
    rendered
      .filter(({ path, text }) => files.find((file) => file.path === path)?.text !== text)
      .map(({ path }) => ({ rule: "docs-fresh", path, line: 1, message: 'stale: run "npm run docs"' }));
}
