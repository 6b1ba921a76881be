// Commands on plugins: those that are there, and those that are being written.
import { command, flag, one, some, text } from "../command.ts";
import { pageOptions } from "./page-options.ts";

const group = "Plugins";

export const pluginSpecs = [
  command({
    path: "plugin list",
    group,
    about: "List plugins, built-in and installed",
    options: pageOptions,
    examples: [
      ["All of them", "plugin list"],
      ["For programs", "plugin list --json"],
    ],
    load: async () => (await import("../commands/plugins.ts")).listPlugins,
  }),
  command({
    path: "plugin inspect",
    group,
    about: "Show a plugin's actions: schemas, permissions, an example of use",
    args: { name: one("NS/NAME[.ACTION]") },
    examples: [
      ["A built-in plugin", "plugin inspect core/http"],
      ["One action", "plugin inspect core/wait.for"],
      ["For programs", "plugin inspect acme/report --json"],
    ],
    load: async () => (await import("../commands/plugins.ts")).inspectPlugin,
  }),
  command({
    path: "plugin validate",
    group,
    about: "Check plugins' manifests and show every finding with its place",
    args: { paths: some("PATH") },
    examples: [["Check one", "plugin validate plugins/acme/report"]],
    load: async () => (await import("../commands/plugin-validate.ts")).validatePlugins,
  }),
  command({
    path: "plugin init",
    group,
    about: "Write the skeleton of a plugin: manifest, entry file, a test",
    details:
      "NS/NAME makes the folders NS/NAME below the current one. A bare NAME makes the folder NAME; the current folder's name is its namespace.",
    args: { name: one("NAME") },
    options: { lang: text("--lang", "ts|python|sh", "What it is written in (ts)"), force: flag("--force", "Write over files that are there") },
    examples: [
      ["In TypeScript", "plugin init acme/report"],
      ["In Python", "plugin init acme/report --lang python"],
    ],
    load: async () => (await import("../commands/plugin-init.ts")).initPlugin,
  }),
  command({
    path: "plugin test",
    group,
    about: "Run a plugin's tests in the sandbox",
    details:
      "Each tests/*.yaml holds {name, action, input, permissions?, expect: {output} or {error: {code}}}, or a list of them. " +
      "Without permissions a test grants what the action asks for.",
    args: { path: one("PATH") },
    examples: [["All of a plugin's tests", "plugin test plugins/acme/report"]],
    load: async () => (await import("../commands/plugin-test.ts")).testPlugin,
  }),
  command({
    path: "plugin types",
    group,
    about: "Write plugin.d.ts, the types of a plugin's inputs and outputs",
    args: { path: one("PATH") },
    options: { output: text("-o,--output", "FILE", "Where to write them, - for stdout (PATH/plugin.d.ts)") },
    examples: [["Beside the manifest", "plugin types plugins/acme/report"]],
    load: async () => (await import("../commands/plugin-declarations.ts")).writePluginTypes,
  }),
  command({
    path: "plugin install",
    group,
    about: "Copy a plugin into the store and show what it may ask for",
    details: "Acts on the store of this machine. An older version over a newer one is refused without --force.",
    args: { path: one("PATH") },
    options: { force: flag("--force", "Install an older version over a newer one") },
    examples: [["Install it", "plugin install ./report"]],
    load: async () => (await import("../commands/plugin-admin.ts")).installPlugin,
  }),
  command({
    path: "plugin approve",
    group,
    about: "Approve what an installed plugin asks for",
    details: "Needed when a new version asks for more than a workflow was applied with. Acts on the store of this machine.",
    args: { name: one("NS/NAME") },
    options: { workflow: text("--workflow", "ID", "For one workflow (for all)") },
    examples: [
      ["For every workflow", "plugin approve acme/report"],
      ["For one", "plugin approve acme/report --workflow nightly"],
    ],
    load: async () => (await import("../commands/plugin-admin.ts")).approvePlugin,
  }),
  command({
    path: "plugin remove",
    group,
    about: "Remove an installed plugin",
    details: "Acts on the store of this machine. A plugin that workflows use is kept without --force.",
    args: { name: one("NS/NAME") },
    options: { force: flag("--force", "Remove it although workflows use it") },
    examples: [["Remove it", "plugin remove acme/report"]],
    load: async () => (await import("../commands/plugin-admin.ts")).removePlugin,
  }),
];
