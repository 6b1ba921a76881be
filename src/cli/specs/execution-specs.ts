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
  command({
    path: "execution pause",
    group,
    about: "Pause an execution: running tasks end, none start",
    args: { id: one("ID") },
    examples: [["Pause one", "execution pause 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/executions.ts")).pauseExecution,
  }),
  command({
    path: "execution resume",
    group,
    about: "Go on with a paused execution",
    args: { id: one("ID") },
    examples: [["Resume one", "execution resume 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/executions.ts")).resumeExecution,
  }),
  command({
    path: "execution restart",
    group,
    about: "Start an ended execution again, reusing what succeeded",
    details: "A new execution of the same revision with the same inputs. Without --from it runs what did not succeed and all that needs it.",
    args: { id: one("ID") },
    options: { from: text("--from", "TASK", "Run this task and all that needs it again, whatever they came to") },
    examples: [
      ["Go on after a failure", "execution restart 0198c0de-0000-7000-8000-000000000000"],
      ["From a task on", "execution restart 0198c0de-0000-7000-8000-000000000000 --from publish"],
    ],
    load: async () => (await import("../commands/executions.ts")).restartExecution,
  }),
  command({
    path: "execution resolve",
    group,
    about: "Say what became of a task whose outcome is unknown",
    details:
      "A task with `onLost: ask` waits for this when the server died while it ran. TASK is the task's id, with the index of an item as in each[3].",
    args: { id: one("ID"), task: one("TASK") },
    options: {
      as: text("--as", "WHAT", "succeeded, failed or retry"),
      output: text("--output", "JSON", "Of one that succeeded: the task's output, an empty object without it"),
    },
    examples: [
      ["It did its work", "execution resolve 0198c0de-0000-7000-8000-000000000000 pay --as succeeded --output '{\"id\":7}'"],
      ["Run it again", "execution resolve 0198c0de-0000-7000-8000-000000000000 pay --as retry"],
    ],
    load: async () => (await import("../commands/executions.ts")).resolveTask,
  }),
  later(group, "execution replay", "Decide an execution again from its trace"),
  command({
    path: "execution diff",
    group,
    about: "Compare two executions: inputs, outputs, and what became of each task",
    details: "Values that are shown masked are compared as shown. Times are not differences; durations that differ by much are listed apart.",
    args: { a: one("A"), b: one("B") },
    examples: [["What was different the second time", "execution diff 0198c0de-0000-7000-8000-000000000000 0198c0de-0000-7000-8000-000000000001"]],
    load: async () => (await import("../commands/execution-diff.ts")).diffExecutions,
  }),
  later(group, "execution report", "Write a report as one HTML file"),
  command({
    path: "execution cleanup",
    group,
    about: "Remove ended executions with their traces, logs and artifacts",
    details: "A tombstone in the system trace says of each what was removed, when and by whom. There is no way back but a backup.",
    options: {
      olderThan: text("--older-than", "AGE", "What ended so long ago or earlier, such as 30d, or before a time"),
      state: list("--state", "STATE", "Only what ended in this state: SUCCESS, FAILED or CANCELLED"),
      dryRun: flag("--dry-run", "Say how many, and remove nothing"),
    },
    examples: [
      ["Say what would go", "execution cleanup --older-than 30d --dry-run"],
      ["Keep what failed", "execution cleanup --older-than 30d --state SUCCESS --state CANCELLED"],
    ],
    load: async () => (await import("../commands/cleanup.ts")).cleanUp,
  }),
];
