// Commands about keys and about TRACE.
import { command, flag, later, list, one, text } from "../command.ts";
import { pageOptions } from "./page-options.ts";

const access = "Access";
const trace = "Trace";

export const recordSpecs = [
  command({
    path: "key create",
    group: access,
    about: "Make an API key; it is shown this once",
    options: {
      name: text("--name", "N", "What it is for"),
      principal: text("--principal", "TYPE:ID", "Who acts with it: user:, service: or agent: (the user who runs this)"),
      role: list("--role", "R", "viewer, auditor, operator, developer, agent or admin"),
      scope: list("--scope", "S", "One more scope, such as workflow:run"),
      expires: text("--expires", "TIME", "When it ends: a time, or a duration such as 30d"),
    },
    examples: [["For a program that starts workflows", "key create --name ci --principal service:ci --role operator --expires 30d"]],
    load: async () => (await import("../commands/keys.ts")).createKey,
  }),
  command({
    path: "key list",
    group: access,
    about: "List API keys, without the keys themselves",
    options: pageOptions,
    examples: [["All of them", "key list"]],
    load: async () => (await import("../commands/keys.ts")).listKeys,
  }),
  command({
    path: "key revoke",
    group: access,
    about: "End an API key at once",
    args: { id: one("ID") },
    examples: [["Revoke one", "key revoke 0198c0de-0000-7000-8000-000000000000"]],
    load: async () => (await import("../commands/keys.ts")).revokeKey,
  }),
  command({
    path: "trace list",
    group: trace,
    about: "List traces, newest first",
    options: { ...pageOptions, subject: text("--subject", "S", "Only execution, session, objective or system") },
    examples: [["The trace of the system", "trace list --subject system"]],
    load: async () => (await import("../commands/trace.ts")).listTraces,
  }),
  command({
    path: "trace tail",
    group: trace,
    about: "Print events as JSON lines, the bytes that were stored",
    options: {
      traceId: text("--trace-id", "T", "Only of this trace"),
      follow: flag("-f,--follow", "Go on with new events"),
      severity: text("--severity", "S", "A floor: debug, info, warn or error"),
      eventType: text("--event-type", "GLOB", "Such as task.* or carp.*"),
      limit: text("--limit", "N", "So many at most; without a trace the newest (50)"),
    },
    examples: [
      ["Follow everything", "trace tail --follow"],
      ["One execution's failures", "trace tail --trace-id 0198c0de-0000-7000-8000-000000000000 --event-type task.failed"],
    ],
    load: async () => (await import("../commands/trace.ts")).tailTrace,
  }),
  command({
    path: "trace verify",
    group: trace,
    about: "Prove that the record is what was written",
    details:
      "Checks the chain, the order and the guards of the store on this machine; with --state also folds every event again and compares the tables.",
    options: {
      traceId: text("--trace-id", "T", "One trace"),
      all: flag("--all", "Every trace (so by default)"),
      state: flag("--state", "Also compare the tables and blobs"),
    },
    examples: [
      ["Everything", "trace verify --all --state"],
      ["One execution", "trace verify --trace-id 0198c0de-0000-7000-8000-000000000000"],
    ],
    load: async () => (await import("../commands/trace-verify.ts")).verifyTrace,
  }),
  later(trace, "trace export", "Write events and a proof of them to files"),
  later(trace, "trace anchor", "Take a checkpoint out of the machine's reach"),
  later(trace, "trace record", "Record a golden trace"),
  later(trace, "trace replay", "Run a golden again and compare"),
  later(trace, "trace why", "Show what led to an event"),
];
