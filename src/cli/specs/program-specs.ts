// Commands about this installation.
import { command, flag, one } from "../command.ts";

const group = "This program";

export const programSpecs = [
  command({
    path: "doctor",
    group,
    about: "Check this installation",
    details: [
      "Asks the server, looks at configuration, data folder, store, keys, disk, clock, container engine and plugins, and attacks the sandbox.",
      "Changes nothing; exits 1 when a check fails.",
    ].join(" "),
    examples: [
      ["Is everything in place", "doctor"],
      ["For programs", "doctor --json"],
    ],
    load: async () => (await import("../commands/doctor.ts")).runDoctor,
  }),
  command({
    path: "backup",
    group,
    about: "Back the store up into one file",
    details: [
      "Database, artifacts, plugins and atlases of one moment, also while a server runs. The keys in keys/ are not in it, unless",
      "--with-keys is given: keep them elsewhere.",
    ].join(" "),
    args: { file: one("FILE") },
    options: {
      force: flag("--force", "Overwrite FILE if it is a backup; nothing else is overwritten"),
      withKeys: flag("--with-keys", "Put the key files in too: who has FILE then reads every secret"),
    },
    examples: [
      ["Back up", "backup store.tar.gz"],
      ["For programs", "backup store.tar.gz --force --json"],
    ],
    load: async () => (await import("../commands/backup.ts")).createBackup,
  }),
  command({
    path: "restore",
    group,
    about: "Put a backup in the store's place",
    details: [
      "Checks every byte of FILE and proves the whole record in it first; what is wrong with it changes nothing. No server may run on the store.",
    ].join(" "),
    args: { file: one("FILE") },
    options: { force: flag("--force", "Set a store that is there aside, under names that end in .before-restore- and the time") },
    examples: [
      ["Into a new data folder", "restore store.tar.gz --data ./restored"],
      ["In place of the store", "restore store.tar.gz --force"],
    ],
    load: async () => (await import("../commands/backup.ts")).restoreBackup,
  }),
];
