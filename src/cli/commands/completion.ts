// Completion scripts, made from the same descriptions as help: words of commands, then options of the one that was typed.
import { fail } from "../../base/index.ts";
import { type CommandSpec, commonOptions, type OptionDefinition, spellings } from "../command.ts";
import type { CliContext } from "../context.ts";
import { commandSpecs } from "../registry.ts";

const shells: Record<string, (specs: readonly CommandSpec[]) => string> = { bash: renderBash, zsh: renderZsh, fish: renderFish };
const programs = ["workflow", "cra", "artifactctl"];

export async function printCompletion(context: CliContext, { shell }: { shell: string }): Promise<void> {
  const render = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
  if (render === undefined) throw fail("USAGE", `Cannot complete for "${shell}": not one of ${Object.keys(shells).join(", ")}`);
  context.print(render(commandSpecs.filter((spec) => spec.load !== null)));
}

const common = Object.values(commonOptions) as OptionDefinition[];
const optionsOf = (spec: CommandSpec) => [...Object.values(spec.options), ...common].flatMap(spellings).concat("--help");

/** The words that may follow each beginning of a path: "" → run, execution …; "execution" → list, inspect … */
function wordTree(specs: readonly CommandSpec[]): Map<string, string[]> {
  const tree = new Map<string, string[]>();
  for (const path of specs.flatMap((spec) => [spec.path, ...spec.aliases])) {
    const words = path.split(" ");
    words.forEach((word, index) => {
      const before = words.slice(0, index).join(" ");
      const known = tree.get(before) ?? [];
      if (!known.includes(word)) tree.set(before, [...known, word]);
    });
  }
  return tree;
}

function caseLines(specs: readonly CommandSpec[]): { words: string; options: string } {
  const words = [...wordTree(specs)].map(([before, after]) => `    "${before}") words="${after.join(" ")}" ;;`);
  const options = specs.flatMap((spec) => [spec.path, ...spec.aliases].map((path) => `    "${path}") options="${optionsOf(spec).join(" ")}" ;;`));
  return { words: words.join("\n"), options: options.join("\n") };
}

function renderBash(specs: readonly CommandSpec[]): string {
  const { words, options } = caseLines(specs);
  return `# bash completion of workflow
_workflow() {
  local current="\${COMP_WORDS[COMP_CWORD]}" typed="" words="" options="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${COMP_WORDS[index]}" in -*) break ;; esac
    typed="\${typed:+$typed }\${COMP_WORDS[index]}"
  done
  case "$typed" in
${words}
  esac
  local known="$typed"
  while [[ -n "$known" && -z "$options" ]]; do
    case "$known" in
${options}
    esac
    if [[ "$known" == *" "* ]]; then known="\${known% *}"; else known=""; fi
  done
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "\${options:-${common.flatMap(spellings).join(" ")}}" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o bashdefault -o default -F _workflow ${programs.join(" ")}
`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function renderZsh(specs: readonly CommandSpec[]): string {
  const { words, options } = caseLines(specs);
  return `#compdef ${programs.join(" ")}
_workflow() {
  local current="\${words[CURRENT]}" typed="" next="" options="" word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ "$word" == -* ]] && break
    typed="\${typed:+$typed }$word"
  done
  case "$typed" in
${words.replaceAll("words=", "next=")}
  esac
  local known="$typed"
  while [[ -n "$known" && -z "$options" ]]; do
    case "$known" in
${options}
    esac
    if [[ "$known" == *" "* ]]; then known="\${known% *}"; else known=""; fi
  done
  if [[ "$current" == -* ]]; then
    compadd -- \${=options}
  elif [[ -n "$next" ]]; then
    compadd -- \${=next}
  else
    _files
  fi
}
compdef _workflow ${programs.join(" ")}
`;
}

function renderFish(specs: readonly CommandSpec[]): string {
  const lines = ["# fish completion of workflow"];
  const seen = (words: readonly string[]) => words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
  for (const [before, after] of wordTree(specs)) {
    const condition = before === "" ? "__fish_use_subcommand" : `${seen(before.split(" "))}; and not __fish_seen_subcommand_from ${after.join(" ")}`;
    lines.push(`complete -c workflow -n ${quoted(condition)} -a ${quoted(after.join(" "))}`);
  }
  for (const spec of specs)
    for (const option of Object.values(spec.options))
      lines.push(`complete -c workflow -n ${quoted(seen(spec.path.split(" ")))} ${fishOption(option)}`);
  for (const option of common) lines.push(`complete -c workflow ${fishOption(option)}`);
  for (const program of programs.slice(1)) lines.push(`complete -c ${program} -w workflow`);
  return `${lines.join("\n")}\n`;
}

function fishOption(option: OptionDefinition): string {
  const names = spellings(option).map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return [...names, ...(option.kind === "text" || option.kind === "list" ? ["-r"] : []), `-d ${quoted(option.about)}`].join(" ");
}
