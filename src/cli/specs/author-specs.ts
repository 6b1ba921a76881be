// Commands that work on files alone, without a store.
import { command, flag, list, one, optional, some, text } from "../command.ts";

const group = "Writing workflows";

export const authorSpecs = [
  command({
    path: "validate",
    aliases: ["workflow validate"],
    group,
    about: "Check workflow files and show every finding with its place",
    args: { files: some("FILE") },
    options: { format: text("--format", "text|json|sarif", "How to show the findings (text)") },
    examples: [
      ["Check a file", "validate nightly.yaml"],
      ["For a code scanner", "validate workflows/*.yaml --format sarif"],
    ],
    load: async () => (await import("../commands/validate.ts")).validateFiles,
  }),
  command({
    path: "plan",
    group,
    about: "Show what a run would do: order, inputs, permissions, next start times",
    args: { file: one("FILE") },
    options: { input: list("-i,--input", "K=V", "An input"), inputs: text("--inputs", "FILE|-", "Inputs as a JSON or YAML map") },
    examples: [["Plan a run", "plan hello.yaml --input name=Ada"]],
    load: async () => (await import("../commands/plan.ts")).planFile,
  }),
  command({
    path: "graph",
    group,
    about: "Draw the tasks and what they need",
    args: { target: one("FILE|ID") },
    options: {
      format: text("--format", "ascii|mermaid|dot|svg", "What to draw (ascii)"),
      output: text("-o,--output", "FILE", "Write to a file instead of stdout"),
    },
    examples: [
      ["In the terminal", "graph hello.yaml"],
      ["As a picture", "graph hello.yaml --format svg -o hello.svg"],
    ],
    load: async () => (await import("../commands/graph.ts")).drawGraph,
  }),
  command({
    path: "schema",
    group,
    about: "Print a JSON Schema, for editors and checks",
    args: { name: optional("NAME") },
    options: { list: flag("--list", "List the names") },
    examples: [
      ["The workflow language", "schema workflow"],
      ["What there is", "schema --list"],
    ],
    load: async () => (await import("../commands/schema.ts")).printSchema,
  }),
  command({
    path: "fmt",
    group,
    about: "Print a workflow file in its standard form",
    args: { files: some("FILE") },
    options: {
      check: flag("--check", "Change nothing; exit 1 if a file is not in that form"),
      write: flag("-w,--write", "Write the form into the file"),
    },
    examples: [
      ["See the form", "fmt hello.yaml"],
      ["Change the file", "fmt hello.yaml --write"],
      ["In CI", "fmt workflows/*.yaml --check"],
    ],
    load: async () => (await import("../commands/fmt.ts")).formatFiles,
  }),
  command({
    path: "import",
    group,
    about: "Turn a Dagu, GitHub Actions or cron file into workflows",
    details:
      "The YAML goes to stdout or with -o into FILE; of several workflows, such as those of a crontab, FILE is a folder. " +
      "What was not carried over is on stderr, each with its line and what to write instead.",
    args: { file: one("FILE|-") },
    options: {
      from: text("--from", "dagu|github|cron", "What the file is (told from its content)"),
      output: text("-o,--output", "FILE", "Write to a file or a folder instead of stdout"),
      force: flag("--force", "Overwrite files that are there"),
    },
    examples: [
      ["A workflow of GitHub Actions", "import .github/workflows/ci.yml -o ci.yaml"],
      ["A crontab: one workflow per job", "import crontab.txt -o workflows/"],
      ["From another program", "import - --from cron"],
    ],
    load: async () => (await import("../commands/import.ts")).importFile,
  }),
  command({
    path: "completion",
    group: "This program",
    about: "Print the completion script of a shell",
    args: { shell: one("bash|zsh|fish") },
    examples: [
      ["For bash, in ~/.bashrc", "completion bash > ~/.local/share/bash-completion/completions/workflow"],
      ["For fish", "completion fish > ~/.config/fish/completions/workflow.fish"],
    ],
    load: async () => (await import("../commands/completion.ts")).printCompletion,
  }),
  command({
    path: "config show",
    group: "This program",
    about: "Show every configuration value and who set it",
    examples: [
      ["All values", "config show"],
      ["For programs", "config show --json"],
    ],
    load: async () => (await import("../commands/config.ts")).showConfig,
  }),
  command({
    path: "config get",
    group: "This program",
    about: "Print one configuration value",
    args: { key: one("KEY") },
    examples: [["The port", "config get server.port"]],
    load: async () => (await import("../commands/config.ts")).getConfigValue,
  }),
  command({
    path: "config path",
    group: "This program",
    about: "Print where configuration, data and store are",
    examples: [["The places", "config path"]],
    load: async () => (await import("../commands/config.ts")).printConfigPaths,
  }),
];
