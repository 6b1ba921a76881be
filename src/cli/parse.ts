// What a line holds beside the words of its command → values. clipanion's parser reads it; what it says about a wrong line becomes
// our USAGE error. Only its core is loaded: the command classes around it open all standard streams, which costs more than a parse.
import { CliBuilder, type RunState } from "clipanion/lib/core";
import { type CodedError, fail } from "../base/index.ts";
import { type ArgumentDefinition, type CommandSpec, type CommonOptions, commonOptions, type OptionDefinition, spellings } from "./command.ts";
import { suggest } from "./suggest.ts";

export type Parsed = { common: CommonOptions; values: Record<string, unknown> };

const commandIndex = 0;

/** @throws USAGE */
export function parseCommand(spec: CommandSpec, rest: readonly string[], program: string): Parsed {
  let state: RunState;
  try {
    state = buildParser(spec, program)([...rest]);
  } catch (thrown) {
    throw usageError(spec, thrown, program);
  }
  // The parser knows a numbered help of its own, which this program does not.
  if (state.selectedIndex !== commandIndex) throw usageError(spec, null, program);
  const positionals = state.positionals.map(({ value }) => value);
  const options = readOptions(spec.options, state);
  const args = Object.fromEntries(Object.entries(spec.args).map(([key, argument]) => [key, takeArgument(argument, positionals)]));
  return { common: readOptions(commonOptions, state) as CommonOptions, values: { ...options, ...args } };
}

function buildParser(spec: CommandSpec, program: string): (input: string[]) => RunState {
  const builder = new CliBuilder<CommandSpec>({ binaryName: program });
  const command = builder.command();
  for (const option of [...Object.values(spec.options), ...Object.values(commonOptions)])
    command.addOption({ names: spellings(option), arity: hasValue(option) ? 1 : 0, allowBinding: option.kind !== "flag" });
  for (const { kind, name } of Object.values(spec.args)) {
    if (kind === "one" || kind === "optional") command.addPositional({ name, required: kind === "one" });
    else command.addRest({ name, required: kind === "some" ? 1 : 0 });
  }
  command.setContext(spec);
  return builder.compile().process;
}

const hasValue = ({ kind }: OptionDefinition) => kind === "text" || kind === "list";

function readOptions(definitions: Readonly<Record<string, OptionDefinition>>, state: RunState): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(definitions).map(([key, definition]) => {
      const names = spellings(definition);
      const given = state.options.filter(({ name }) => names.includes(name)).map(({ value }): unknown => value);
      if (definition.kind === "list") return [key, given];
      if (definition.kind === "either") return [key, given.at(-1) ?? false];
      return [key, definition.kind === "flag" ? given.at(-1) === true : (given.at(-1) ?? null)];
    }),
  );
}

function takeArgument({ kind }: ArgumentDefinition, positionals: string[]): unknown {
  return kind === "one" || kind === "optional" ? (positionals.shift() ?? null) : positionals.splice(0);
}

function usageError(spec: CommandSpec, thrown: unknown, program: string): CodedError {
  const candidates = (thrown as { candidates?: { reason: string | null }[] } | null)?.candidates;
  const reason = candidates?.find((candidate) => candidate.reason !== null)?.reason ?? "The arguments do not fit.";
  const unknown = /^(?:Unsupported|Invalid) option name \("(.*)"\)\.?$/s.exec(reason)?.[1];
  const usage = `Usage: ${usageLine(spec, program)}`;
  if (unknown !== undefined) return unknownOption(unknown, spec, usage);
  const extra = /^Extraneous positional argument \("(.*)"\)\.?$/s.exec(reason)?.[1];
  const wanting = /^Not enough arguments to option (.*?)\.?$/.exec(reason)?.[1];
  const about =
    extra !== undefined
      ? `unexpected argument "${extra}"`
      : wanting !== undefined
        ? `option ${wanting} needs a value (write one that starts with "-" as ${wanting}=VALUE)`
        : reason.startsWith("Not enough positional")
          ? `missing argument ${missingNames(spec)}`
          : reason.replace(/\.$/, "");
  return fail("USAGE", `Cannot run "${spec.path}": ${about}`, { hint: usage });
}

function missingNames(spec: CommandSpec): string {
  return Object.values(spec.args)
    .filter((argument) => argument.kind === "one" || argument.kind === "some")
    .map((argument) => argument.name)
    .join(" ");
}

function unknownOption(given: string, spec: CommandSpec, usage: string): CodedError {
  const name = given.split("=")[0] ?? given;
  const known = [...Object.values(spec.options), ...Object.values(commonOptions)].flatMap(spellings);
  if (known.includes(name)) return fail("USAGE", `Cannot run "${spec.path}": option ${name} takes no value`, { hint: usage });
  const near = suggest(name, [...known, "--help"]);
  return fail("USAGE", `Cannot run "${spec.path}": unknown option "${name}"`, { hint: near === null ? usage : `Did you mean ${near}? ${usage}` });
}

/** What stands behind an option's name: ` VALUE`, `[=VALUE]` or nothing. */
export function valueOf(option: OptionDefinition): string {
  return hasValue(option) ? ` ${option.value}` : option.value;
}

/** `workflow run FILE|ID [--input k=v]…` */
export function usageLine(spec: CommandSpec, program: string): string {
  const args = Object.values(spec.args).map(({ kind, name }) => ({ one: name, optional: `[${name}]`, some: `${name}…`, any: `[${name}…]` })[kind]);
  const options = Object.values(spec.options).map((option) => {
    const name = spellings(option).at(-1) ?? "";
    return `[${name}${valueOf(option)}]${option.kind === "list" ? "…" : ""}`;
  });
  return [program, spec.path, ...args, ...options].join(" ");
}
