// Commands about triggers.
import { command, flag, one, text } from "../command.ts";
import { pageOptions } from "./page-options.ts";

const group = "Triggers";

export const triggerSpecs = [
  command({
    path: "trigger list",
    group,
    about: "List the triggers of armed workflows",
    details: "Times are those at which a server would start them; triggers fire while a server runs.",
    options: { ...pageOptions, workflow: text("--workflow", "ID", "Only of this workflow") },
    examples: [
      ["All of them", "trigger list"],
      ["Those of one workflow", "trigger list --workflow report"],
    ],
    load: async () => (await import("../commands/triggers.ts")).listTriggers,
  }),
  command({
    path: "trigger next",
    group,
    about: "Show the next times of a workflow's cron triggers",
    args: { id: one("ID") },
    options: {
      trigger: text("--trigger", "T", "Only of this trigger"),
      count: text("--count", "N", "So many of each (5)"),
    },
    examples: [
      ["The next five", "trigger next report"],
      ["The next one", "trigger next report --count 1"],
    ],
    load: async () => (await import("../commands/triggers.ts")).showNext,
  }),
  command({
    path: "trigger health",
    group,
    about: "List triggers that should have fired and did not",
    options: pageOptions,
    examples: [["What was missed", "trigger health"]],
    load: async () => (await import("../commands/triggers.ts")).showHealth,
  }),
  command({
    path: "trigger backfill",
    group,
    about: "Start what a range of times did not start",
    details:
      "Never starts a time that was started before. Without a server the executions run in this process, and the command waits for them. " +
      "A range has at most 1,000 times and begins at most a year ago.",
    args: { id: one("ID") },
    options: {
      trigger: text("--trigger", "T", "The trigger; left out for the only one of the workflow"),
      from: text("--from", "TIME", "From this time on, or so long ago"),
      to: text("--to", "TIME", "Up to this time, or so long ago (now)"),
      dryRun: flag("--dry-run", "Say what would be started, and start nothing"),
    },
    examples: [
      ["What a weekend missed", "trigger backfill report --trigger nightly --from 2026-01-03T00:00:00Z --to 2026-01-05T00:00:00Z"],
      ["Look first", "trigger backfill report --trigger nightly --from 48h --dry-run"],
    ],
    load: async () => (await import("../commands/triggers.ts")).backfillTrigger,
  }),
  command({
    path: "trigger fire",
    group,
    about: "Start now what a trigger starts",
    details: "Without a server the execution runs in this process, and the command waits for it.",
    args: { id: one("ID") },
    options: { trigger: text("--trigger", "T", "The trigger; left out for the only one of the workflow") },
    examples: [["Fire the only trigger", "trigger fire report"]],
    load: async () => (await import("../commands/triggers.ts")).fireTrigger,
  }),
];
