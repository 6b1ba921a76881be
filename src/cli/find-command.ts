// Which command a line names: the longest path its first words make, or which help it asks for.
import { type CodedError, fail } from "../base/index.ts";
import { type CommandSpec, commonOptions, spellings } from "./command.ts";
import { commandSpecs } from "./registry.ts";
import { suggest } from "./suggest.ts";

/**
 * `rest` is the line without the words that name the command; `help` without a command is about the commands that begin
 * with `word`, or about the program.
 */
export type Found = { kind: "command"; spec: CommandSpec; rest: string[] } | { kind: "help"; word: string | null; spec: CommandSpec | null };

/** The part of the line in which options are read. */
export function beforeDashes(argv: readonly string[]): readonly string[] {
  const dashes = argv.indexOf("--");
  return dashes === -1 ? argv : argv.slice(0, dashes);
}

/** @throws USAGE with what may have been meant */
export function findCommand(argv: readonly string[], program: string): Found {
  const { start, words } = wordsOf(argv);
  if (words[0] === "help") return findHelp(words.slice(1), program);
  const found = matchSpec(words);
  if (found !== null) return { kind: "command", spec: found.spec, rest: argv.toSpliced(start, found.length) };
  const [word = null] = words;
  if (word === null) {
    const stray = beforeDashes(argv).find((part) => part.startsWith("-") && !isCommonOption(part));
    if (stray !== undefined) throw unknownOption(stray, program);
  } else if (words.length > 1 || !isGroup(word)) throw unknownCommand(words, program);
  return { kind: "help", word, spec: null };
}

function findHelp(words: readonly string[], program: string): Found {
  const spec = matchSpec(words)?.spec ?? null;
  const [word = null] = words;
  if (spec === null && word !== null && !isGroup(word)) throw unknownCommand(words, program);
  return { kind: "help", word, spec };
}

// Common options may stand before the command; those with a value take the next word with them.
function wordsOf(argv: readonly string[]): { start: number; words: string[] } {
  const valued = new Set(
    Object.values(commonOptions)
      .filter((option) => option.kind !== "flag")
      .flatMap(spellings),
  );
  let at = 0;
  while (at < argv.length && isOption(argv[at])) at += valued.has(argv[at] ?? "") ? 2 : 1;
  const start = at;
  const words: string[] = [];
  for (; at < argv.length && !isOption(argv[at]); at++) words.push(argv[at] ?? "");
  return { start, words };
}

const isOption = (part: string | undefined) => part !== undefined && part.startsWith("-") && part !== "-";

function isCommonOption(part: string): boolean {
  const name = part.split("=")[0] ?? part;
  return name === "-h" || name === "--help" || Object.values(commonOptions).flatMap(spellings).includes(name);
}

const pathsOf = (spec: CommandSpec) => [spec.path, ...spec.aliases];
const isGroup = (word: string) => commandSpecs.some((spec) => pathsOf(spec).some((path) => path.startsWith(`${word} `)));

function matchSpec(words: readonly string[]): { spec: CommandSpec; length: number } | null {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const path = words.slice(0, length).join(" ");
    const spec = commandSpecs.find((candidate) => pathsOf(candidate).includes(path));
    if (spec !== undefined) return { spec, length };
  }
  return null;
}

function unknownOption(given: string, program: string): CodedError {
  const near = suggest(given, [...Object.values(commonOptions).flatMap(spellings), "--help", "--version"]);
  const hint = near === null ? `See ${program} --help` : `Did you mean ${near}? See ${program} --help`;
  return fail("USAGE", `Cannot read the command line: unknown option "${given}"`, { hint });
}

function unknownCommand(words: readonly string[], program: string): CodedError {
  const [word = ""] = words;
  const paths = commandSpecs.flatMap(pathsOf);
  const given = isGroup(word) ? words.slice(0, 2).join(" ") : word;
  const known = isGroup(word) ? paths.filter((path) => path.startsWith(`${word} `)) : [...new Set(paths.map((path) => path.split(" ")[0] ?? path))];
  const near = suggest(given, known);
  const hint = near === null ? `See ${program} ${isGroup(word) ? `${word} ` : ""}--help` : `Did you mean "${program} ${near}"?`;
  return fail("USAGE", `Cannot run "${given}": no such command`, { hint });
}
