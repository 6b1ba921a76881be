// Help as text: of the program, of a group of commands, of one command. All from the descriptions.
import { version } from "../base/index.ts";
import { type CommandSpec, commonOptions, type OptionDefinition, spellings } from "./command.ts";
import { usageLine, valueOf } from "./parse.ts";
import type { Style } from "./render/style.ts";
import { padToWidth } from "./render/visible.ts";

export type HelpView = { program: string; style: Style };

function section(title: string, lines: readonly string[], style: Style): string {
  return lines.length === 0 ? "" : `\n${style.bold(title)}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function twoColumns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${padToWidth(left, width)}  ${right}`.trimEnd());
}

const optionRow = (option: OptionDefinition): [string, string] => [
  `${spellings(option).join(", ")}${valueOf(option)}`,
  `${option.about}${option.kind === "list" ? " (may be repeated)" : ""}`,
];

const commonRows = Object.values(commonOptions).map(optionRow);

/** Help of one command: usage, options, examples. */
export function renderCommandHelp(spec: CommandSpec, { program, style }: HelpView): string {
  const also = spec.aliases.length === 0 ? [] : [`Also: ${spec.aliases.map((alias) => `${program} ${alias}`).join(", ")}`];
  return [
    `${spec.about}\n`,
    section("Usage", [usageLine(spec, program), ...also], style),
    spec.details === "" ? "" : `\n${spec.details}\n`,
    section("Options", twoColumns(Object.values(spec.options).map(optionRow)), style),
    section("Common options", twoColumns([...commonRows, ["-h, --help", "Show this"]]), style),
    section(
      "Examples",
      spec.examples.flatMap(([about, line]) => [style.dim(`# ${about}`), `${program} ${line}`]),
      style,
    ),
  ].join("");
}

const marked = (spec: CommandSpec) => (spec.load === null ? `${spec.about} (not in this version yet)` : spec.about);

/** Help of the commands that begin with the same word. */
export function renderGroupHelp(word: string, specs: readonly CommandSpec[], { program, style }: HelpView): string {
  const rows = specs.map((spec) => [spec.path, marked(spec)] as const);
  return `Usage: ${program} ${word} COMMAND\n${section("Commands", twoColumns(rows), style)}\nMore about one: ${program} ${word} COMMAND --help\n`;
}

/** Help of the program: every command by group. */
export function renderProgramHelp(specs: readonly CommandSpec[], { program, style }: HelpView): string {
  const groups = [...new Set(specs.map((spec) => spec.group))];
  const width = Math.max(...specs.map((spec) => spec.path.length));
  const sections = groups.map((group) =>
    section(
      group,
      specs.filter((spec) => spec.group === group).map((spec) => `${padToWidth(spec.path, width)}  ${marked(spec)}`),
      style,
    ),
  );
  return [
    `Autokestra ${version}: runs automation under deny-by-default permissions and keeps a tamper-evident trace of it.\n`,
    `\nUsage: ${program} COMMAND [ARGUMENTS] [OPTIONS]\n`,
    ...sections,
    section(
      "Common options",
      twoColumns([...commonRows, ["-h, --help", "Show help, also of one command"], ["--version", "Show the version"]]),
      style,
    ),
    `\nMore about one command, with examples: ${program} COMMAND --help\n`,
  ].join("");
}
