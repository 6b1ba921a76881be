// What a command is, as data: path, options, arguments, texts and examples, and where its work is loaded from.
// Parsing, help, completion and the reference pages are all made from this one description.
import type { CliContext } from "./context.ts";

export type OptionDefinition = { kind: "flag" | "text" | "list" | "either"; names: string; value: string; about: string };
export type ArgumentDefinition = { kind: "one" | "optional" | "some" | "any"; name: string };

export type Flag = OptionDefinition & { kind: "flag" };
export type Text = OptionDefinition & { kind: "text" };
export type List = OptionDefinition & { kind: "list" };
export type Either = OptionDefinition & { kind: "either" };

/** A switch: false unless given. */
export function flag(names: string, about: string): Flag {
  return { kind: "flag", names, value: "", about };
}

/** An option with a value: null unless given; the last one counts. */
export function text(names: string, value: string, about: string): Text {
  return { kind: "text", names, value, about };
}

/** An option that may be repeated. */
export function list(names: string, value: string, about: string): List {
  return { kind: "list", names, value, about };
}

/** A switch that may carry a value: `--name`, or `--name=VALUE`. */
export function either(names: string, value: string, about: string): Either {
  return { kind: "either", names, value: `[=${value}]`, about };
}

export const one = (name: string) => ({ kind: "one", name }) as const;
export const optional = (name: string) => ({ kind: "optional", name }) as const;
/** One or more. */
export const some = (name: string) => ({ kind: "some", name }) as const;
/** None or more. */
export const any = (name: string) => ({ kind: "any", name }) as const;

type OptionValue<D> = D extends { kind: "flag" }
  ? boolean
  : D extends { kind: "either" }
    ? boolean | string
    : D extends { kind: "list" }
      ? string[]
      : string | null;
type ArgumentValue<D> = D extends { kind: "one" } ? string : D extends { kind: "optional" } ? string | null : string[];
type Values<O, A> = { [K in keyof O]: OptionValue<O[K]> } & { [K in keyof A]: ArgumentValue<A[K]> };

/** The work of a command; what it returns is the exit code, nothing means 0. */
export type Handler<V> = (context: CliContext, values: V) => Promise<number | void>;

export type Example = readonly [about: string, line: string];

export type CommandSpec = {
  /** Words after the program's name. */
  path: string;
  /** Other words for the same command. */
  aliases: readonly string[];
  group: string;
  about: string;
  details: string;
  examples: readonly Example[];
  options: Readonly<Record<string, OptionDefinition>>;
  args: Readonly<Record<string, ArgumentDefinition>>;
  /** Null: the command is known, but this version does not have it. */
  load: (() => Promise<Handler<never>>) | null;
};

type CommandInput<O, A> = {
  path: string;
  aliases?: readonly string[];
  group: string;
  about: string;
  details?: string;
  examples: readonly Example[];
  options?: O;
  args?: A;
  load: () => Promise<Handler<Values<O, A>>>;
};

/** Describes a command; the handler's values are checked against the options and arguments here, once. */
export function command<const O extends Record<string, OptionDefinition>, const A extends Record<string, ArgumentDefinition>>(
  input: CommandInput<O, A>,
): CommandSpec {
  return { ...input, aliases: input.aliases ?? [], details: input.details ?? "", options: input.options ?? {}, args: input.args ?? {} };
}

/** A command of a later version: in help, and refused with NOT_AVAILABLE_YET. */
export function later(group: string, path: string, about: string): CommandSpec {
  const examples = [["Say that this version does not have it yet", path]] as const;
  return { path, aliases: [], group, about, details: "Not in this version yet.", examples, options: {}, args: {}, load: null };
}

/** Options that every command takes. */
export const commonOptions = {
  server: text("--server", "URL", "Act on the server at this URL (AUTOKESTRA_SERVER_URL)"),
  apiKey: text("--api-key", "KEY", "Key for that server (AUTOKESTRA_API_KEY)"),
  config: text("-c,--config", "FILE", "Configuration file (AUTOKESTRA_CONFIG)"),
  data: text("--data", "DIR", "Data folder (AUTOKESTRA_HOME)"),
  json: flag("--json", "Print the answer as one JSON document; an error is the last line of stderr"),
  quiet: flag("--quiet", "Print no notes or progress on stderr"),
  verbose: flag("--verbose", "Say more on stderr"),
  noColor: flag("--no-color", "No colours (NO_COLOR)"),
} as const;
export type CommonOptions = Values<typeof commonOptions, Record<never, never>>;

/** Every spelling of an option, e.g. ["-c", "--config"]. */
export function spellings(option: OptionDefinition): string[] {
  return option.names.split(",");
}
