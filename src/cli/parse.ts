// argv → one command with its values. clipanion parses; what it says about a wrong line becomes our USAGE error.
import { Cli, Command, Option } from "clipanion";
import { type CodedError, fail } from "../base/index.ts";
import { type ArgumentDefinition, type CommandSpec, type CommonOptions, commonOptions, type OptionDefinition, spellings } from "./command.ts";
import { suggest } from "./suggest.ts";

export type Parsed = { common: CommonOptions; values: Record<string, unknown> };

// Own members of a clipanion command are its options; the prefix keeps them apart from the class's own (path, help, context).
const member = (key: string) => `value:${key}`;
const commonMember = (key: string) => `common:${key}`;

function declareOption(option: OptionDefinition): unknown {
  if (option.kind === "flag") return Option.Boolean(option.names, { description: option.about });
  if (option.kind === "list") return Option.Array(option.names, { description: option.about });
  return Option.String(option.names, { description: option.about });
}

function declareArgument(argument: ArgumentDefinition): unknown {
  if (argument.kind === "one") return Option.String({ name: argument.name });
  if (argument.kind === "optional") return Option.String({ name: argument.name, required: false });
  return Option.Rest({ name: argument.name, required: argument.kind === "some" ? 1 : 0 });
}

function commandClass(spec: CommandSpec) {
  const members: Record<string, unknown> = {};
  return class extends Command {
    static override paths = [spec.path, ...spec.aliases].map((path) => path.split(" "));
    constructor() {
      super();
      for (const [key, option] of Object.entries(commonOptions)) members[commonMember(key)] = declareOption(option);
      for (const [key, option] of Object.entries(spec.options)) members[member(key)] = declareOption(option);
      for (const [key, argument] of Object.entries(spec.args)) members[member(key)] = declareArgument(argument);
      Object.assign(this, members);
    }
    override async execute(): Promise<void> {
      // The work is run by `runCli` on the values; clipanion would print errors to stdout and end with 0 or 1.
    }
  };
}

function settle(definition: OptionDefinition | ArgumentDefinition, value: unknown): unknown {
  if (definition.kind === "flag") return value === true;
  if (definition.kind === "list" || definition.kind === "some" || definition.kind === "any") return value ?? [];
  return value ?? null;
}

/** Parses a line whose command is known. @throws USAGE */
export function parseCommand(spec: CommandSpec, argv: readonly string[], program: string): Parsed {
  const cli = Cli.from(commandClass(spec), { binaryName: program });
  let parsed: Record<string, unknown>;
  try {
    parsed = cli.process([...argv], {}) as unknown as Record<string, unknown>;
  } catch (thrown) {
    throw usageError(spec, thrown, program);
  }
  const common = Object.fromEntries(Object.entries(commonOptions).map(([key, option]) => [key, settle(option, parsed[commonMember(key)])]));
  const definitions = [...Object.entries(spec.options), ...Object.entries(spec.args)];
  const values = Object.fromEntries(definitions.map(([key, definition]) => [key, settle(definition, parsed[member(key)])]));
  return { common: common as CommonOptions, values };
}

function usageError(spec: CommandSpec, thrown: unknown, program: string): CodedError {
  const candidates = (thrown as { candidates?: { reason: string | null }[] }).candidates;
  const reason = candidates?.find((candidate) => candidate.reason !== null)?.reason ?? "The arguments do not fit.";
  const unknown = /^Unsupported option name \("(.*)"\)\.?$/s.exec(reason)?.[1];
  const usage = `Usage: ${usageLine(spec, program)}`;
  if (unknown !== undefined) return unknownOption(unknown, spec, usage);
  const extra = /^Extraneous positional argument \("(.*)"\)\.?$/s.exec(reason)?.[1];
  const wanting = /^Not enough arguments to option (.*?)\.?$/.exec(reason)?.[1];
  const about =
    extra !== undefined ? `unexpected argument "${extra}"`
    : wanting !== undefined ? `option ${wanting} needs a value (write one that starts with "-" as ${wanting}=VALUE)`
    : reason.startsWith("Not enough positional") ? `missing argument ${missingNames(spec)}`
    : reason.replace(/\.$/, "");
  return fail("USAGE", `Cannot run "${spec.path}": ${about}`, { hint: usage });
}

function missingNames(spec: CommandSpec): string {
  return Object.values(spec.args).filter((argument) => argument.kind === "one" || argument.kind === "some").map((argument) => argument.name).join(" ");
}

function unknownOption(given: string, spec: CommandSpec, usage: string): CodedError {
  const name = given.split("=")[0] ?? given;
  const known = [...Object.values(spec.options), ...Object.values(commonOptions)].flatMap(spellings);
  const near = suggest(name, [...known, "--help"]);
  return fail("USAGE", `Cannot run "${spec.path}": unknown option "${name}"`, { hint: near === null ? usage : `Did you mean ${near}? ${usage}` });
}

/** `workflow run FILE|ID [--input k=v]…` */
export function usageLine(spec: CommandSpec, program: string): string {
  const args = Object.values(spec.args).map(({ kind, name }) => ({ one: name, optional: `[${name}]`, some: `${name}…`, any: `[${name}…]` })[kind]);
  const options = Object.values(spec.options).map((option) => {
    const name = spellings(option).at(-1) ?? "";
    return option.kind === "flag" ? `[${name}]` : `[${name} ${option.value}]${option.kind === "list" ? "…" : ""}`;
  });
  return [program, spec.path, ...args, ...options].join(" ");
}
