// Scripts of GitHub Actions, whose `${{ }}` are replaced before a shell sees them. Here values come through variables, so each becomes one.
import { splitExpressions } from "./github-syntax.ts";

/** How a shell reads the text at a place: only there a variable can stand in its own way. */
type Quoting = "plain" | "double" | "single" | "raw";
type Heredoc = { end: string; isRaw: boolean; strips: boolean };
type State = { quoting: Quoting; isComment: boolean; heredocs: Heredoc[]; open: Heredoc | null };

const heredocPattern = /<<(-?)[ \t]*(['"\\]?)([A-Za-z_]\w*)/y;

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

/** Reads on through a part of the script. A heredoc's body counts as double or single quotes, by its opening. */
function advance(state: State, text: string, source: string, offset: number): void {
  let at = 0;
  while (at < text.length) {
    const unit = text[at] ?? "";
    if (unit === "\n") {
      at++;
      state.isComment = false;
      if (state.open === null) state.open = state.quoting === "plain" ? (state.heredocs.shift() ?? null) : null;
      while (state.open !== null && endsHere(state.open, source, offset + at)) state.open = state.heredocs.shift() ?? null;
      continue;
    }
    at = state.open === null && !state.isComment ? step(state, text, at) : at + 1;
  }
}

function endsHere(open: Heredoc, source: string, at: number): boolean {
  const line = source.slice(at, lineEnd(source, at));
  return (open.strips ? line.replace(/^\t+/, "") : line) === open.end;
}

/** One step outside of heredocs; returns where the next one starts. */
function step(state: State, text: string, at: number): number {
  const unit = text[at];
  if (state.quoting === "single") {
    if (unit === "'") state.quoting = "plain";
  } else if (unit === "\\") return at + 2;
  else if (unit === '"') state.quoting = state.quoting === "double" ? "plain" : "double";
  else if (state.quoting === "plain") {
    if (unit === "'") state.quoting = "single";
    if (unit === "#" && (at === 0 || /[\s;&|(]/.test(text[at - 1] ?? ""))) state.isComment = true;
    heredocPattern.lastIndex = at;
    const match = text[at - 1] === "<" ? null : heredocPattern.exec(text);
    if (match !== null) {
      state.heredocs.push({ end: match[3] ?? "", isRaw: match[2] !== "", strips: match[1] === "-" });
      // The delimiter's own closing quote is no opening one.
      return at + match[0].length + (match[2] === "'" || match[2] === '"' ? 1 : 0);
    }
  }
  return at + 1;
}

function place(state: State): Quoting {
  if (state.open !== null) return state.open.isRaw ? "raw" : "double";
  return state.quoting;
}

/** What stands for an expression; null where it has no equivalent and stays as it is. */
export type NameVariable = (expression: string) => string | null;
export type ReplacedScript = { script: string; replaced: string[]; kept: string[] };

/** The script of a shell with a variable for each expression; nothing else of it changes. */
export function replaceExpressions(script: string, nameVariable: NameVariable): ReplacedScript {
  const state: State = { quoting: "plain", isComment: false, heredocs: [], open: null };
  const found: ReplacedScript = { script: "", replaced: [], kept: [] };
  let offset = 0;
  for (const part of splitExpressions(script)) {
    if ("literal" in part) {
      advance(state, part.literal, script, offset);
      found.script += part.literal;
      offset += part.literal.length;
      continue;
    }
    offset = part.end;
    const quoting = place(state);
    const name = quoting === "raw" ? null : nameVariable(part.expression);
    found[name === null ? "kept" : "replaced"].push(part.expression);
    // Inside single quotes nothing is expanded: they are closed for the variable and opened again.
    found.script += name === null ? script.slice(part.start, part.end) : quoting === "single" ? `'"\${${name}}"'` : `\${${name}}`;
  }
  return found;
}

/** Variables of a runner that have another name here. */
const renamed: Record<string, string> = { GITHUB_OUTPUT: "WORKFLOW_OUTPUT", GITHUB_WORKSPACE: "WORKSPACE", RUNNER_TEMP: "TMPDIR" };

export type RenamedScript = { script: string; renamed: string[]; unknown: string[] };

/** Gives a runner's variables their names here; `unknown` are those that do not exist. */
export function renameVariables(script: string, own: (name: string) => boolean): RenamedScript {
  const found = { renamed: new Set<string>(), unknown: new Set<string>() };
  const text = script.replace(/\b(?:GITHUB|RUNNER|ACTIONS)_[A-Z][A-Z0-9_]*\b/g, (name, at: number) => {
    if (own(name)) return name;
    const to = renamed[name];
    // Only where it is read: `GITHUB_X=…` sets a variable of the script's own.
    if (to === undefined && script[at + name.length] === "=") return name;
    found[to === undefined ? "unknown" : "renamed"].add(name);
    return to ?? name;
  });
  return { script: text, renamed: [...found.renamed], unknown: [...found.unknown] };
}
