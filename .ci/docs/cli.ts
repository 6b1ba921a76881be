// docs/reference/cli.md: every command with usage, options and examples, from the commands' own data.
import { commandSpecs } from "../../src/cli/index.ts";
import { generatedNote, renderTable as table } from "./table.ts";

type Spec = (typeof commandSpecs)[number];

export function renderCli(): string {
  const groups = [...Map.groupBy(commandSpecs, (spec) => spec.group)];
  const parts = groups.flatMap(([group, specs]) => [`## ${group}`, ...specs.map(renderCommand)]);
  const intro =
    "Generated from the commands. Every command also takes `--server`, `--api-key`, `-c`, `--data`, `--json`, `--quiet`, `--verbose` and `--no-color`.";
  return `${generatedNote}\n\n# Commands\n\n${intro}\n\n${parts.join("\n\n")}\n`;
}

function renderCommand(spec: Spec): string {
  const words = Object.values(spec.args).map(
    (arg) => ({ one: arg.name, optional: `[${arg.name}]`, some: `${arg.name}…`, any: `[${arg.name}…]` })[arg.kind],
  );
  const usage = ["workflow", spec.path, ...words].join(" ");
  const later = spec.load === null ? " Not available in this version yet." : "";
  const lines = [`### \`${usage}\``, `${spec.about}.${later}`];
  if (spec.details !== "") lines.push(spec.details);
  const options = Object.values(spec.options);
  if (options.length > 0)
    lines.push(
      table(
        ["option", "meaning"],
        options.map((option) => [
          `\`${option.names}${option.value === "" || option.value.startsWith("[") ? option.value : ` ${option.value}`}\``,
          option.about,
        ]),
      ),
    );
  if (spec.examples.length > 0) lines.push(["```text", ...spec.examples.map(([about, line]) => `${line}   # ${about}`), "```"].join("\n"));
  return lines.join("\n\n");
}
