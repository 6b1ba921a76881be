// Commands about executions.
import { command, flag, later, list, one, optional, text } from "../command.ts";
import { pageOptions } from "./page-options.ts";

const group = "Executions";

export const executionSpecs = [
  command({
    path: "execution list",
    group,
    about: "List executions, newest first",
    options: {
      ...pageOptions,
      workflow: text("--workflow", "ID", "Only of this workflow"),
      state: list("--state", "STATE", "Only in this state"),
      trigger: text("--trigger", "TYPE", "Only started by this type of trigger"),
      since: text("--since", "TIME", "Only since this time, or so long ago"),
      until: text("--until", "TIME", "Only until this time"),
      label: text("--label", "K=V", "Only with this label"),
    },
    examples: [
      ["The newest", "execution list"],
      ["What failed today", "execution list --state FAILED --since 24h"],
    ],
    load: async () => (await import("../commands/executions.ts")).listExecutions,
  }),
  command({
    path: "execution inspect",
    group,
    about: "Show an execution with its tasks, times, errors and outputs",
    args: { id: one("ID") },
    options: { include: text("--include", "LIST", "Also, separated by commas: inputs, timeline, trace") },
    examples: [["Diagnose one", "execution inspect 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/inspect.ts")).inspectExecution,
  }),
  command({
    path: "execution logs",
    group,
    about: "Show what the tasks of an execution wrote, oldest first",
    args: { id: one("ID") },
    options: {
      ...pageOptions,
      task: text("--task", "T", "Only of this task"),
      level: text("--level", "L", "Only these levels: a list, or a floor such as WARN+"),
      source: list("--source", "S", "Only from stdout, stderr or engine"),
      since: text("--since", "TIME", "Only since this time, or so long ago"),
      search: text("--search", "TEXT", "Only lines that hold this text"),
      follow: flag("-f,--follow", "Go on until the execution ends"),
    },
    examples: [
      ["All lines", "execution logs 0198c0de-0000-7000-8000-000000000000"],
      ["Follow the errors of one task", "execution logs 0198c0de-0000-7000-8000-000000000000 --task fetch --level WARN+ --follow"],
    ],
    load: async () => (await import("../commands/logs.ts")).showLogs,
  }),
  command({
    path: "execution watch",
    group,
    about: "Watch an execution until it ends",
    args: { id: one("ID") },
    examples: [["Watch one", "execution watch 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/watch.ts")).watchExecution,
  }),
  command({
    path: "execution cancel",
    group,
    about: "Cancel an execution: its tasks are stopped, none start",
    args: { id: one("ID") },
    examples: [["Cancel one", "execution cancel 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/executions.ts")).cancelExecution,
  }),
  command({
    path: "execution artifacts",
    group,
    about: "List the files that an execution's tasks left behind, or read one",
    details: "A file goes to stdout, or into FILE; an existing file is overwritten with --force only. Of several with one name it is the newest.",
    args: { id: one("ID"), name: optional("NAME") },
    options: {
      ...pageOptions,
      output: text("-o,--output", "FILE", "Write it into this file or folder; - is stdout"),
      task: text("--task", "T", "Only of this task"),
      force: flag("--force", "Overwrite an existing file"),
    },
    examples: [
      ["List them", "execution artifacts 0198c0de-0000-7000-8000-000000000000"],
      ["Save one", "execution artifacts 0198c0de-0000-7000-8000-000000000000 report.pdf -o report.pdf"],
    ],
    load: async () => (await import("../commands/artifacts.ts")).showArtifacts,
  }),
  later(group, "execution pause", "Let running tasks end and start no others"),
  later(group, "execution resume", "Go on with a paused execution"),
  later(group, "execution restart", "Start again from a task, reusing what succeeded before it"),
  later(group, "execution resolve", "Say what became of a task whose outcome is unknown"),
  later(group, "execution replay", "Decide an execution again from its trace"),
  later(group, "execution diff", "Compare two executions"),
  later(group, "execution report", "Write a report as one HTML file"),
  later(group, "execution cleanup", "Remove old executions with their traces"),
];
