// Commands on secrets.
import { command, flag, one, optional } from "../command.ts";
import { pageOptions } from "./page-options.ts";

const group = "Secrets";

export const secretSpecs = [
  command({
    path: "secrets set",
    group,
    about: "Store a secret",
    details:
      "Without a value it is asked for at the terminal, unseen, or read from stdin. From stdin everything counts, but for the newline at the end " +
      "of a single line; it need not be text. A value in the line itself is seen by others in the list of processes, and stays in the shell's " +
      'history; one that starts with "-" comes after "--".',
    args: { name: one("NAME"), value: optional("VALUE") },
    examples: [
      ["Ask for the value", "secrets set API_TOKEN"],
      ["From a file", "secrets set DEPLOY_KEY < id_ed25519"],
      ["A value that starts with a dash", "secrets set PIN -- -1234"],
    ],
    load: async () => (await import("../commands/secrets.ts")).setSecret,
  }),
  command({
    path: "secrets get",
    group,
    about: "Print a secret's value, and nothing else",
    args: { name: one("NAME") },
    examples: [
      ["Show it", "secrets get API_TOKEN"],
      ["Into a file", "secrets get DEPLOY_KEY > key"],
    ],
    load: async () => (await import("../commands/secrets.ts")).getSecret,
  }),
  command({
    path: "secrets list",
    group,
    about: "List secrets, without values",
    options: pageOptions,
    examples: [
      ["All of them", "secrets list"],
      ["For programs", "secrets list --json"],
    ],
    load: async () => (await import("../commands/secrets.ts")).listSecrets,
  }),
  command({
    path: "secrets delete",
    group,
    about: "Delete a secret",
    details: "Asks first. Where there is nobody to ask, --force is needed.",
    args: { name: one("NAME") },
    options: { force: flag("-f,--force", "Do not ask") },
    examples: [
      ["After a question", "secrets delete API_TOKEN"],
      ["In a script", "secrets delete API_TOKEN --force"],
    ],
    load: async () => (await import("../commands/secrets.ts")).deleteSecret,
  }),
  command({
    path: "secrets rotate-key",
    group,
    about: "Encrypt all secrets with a new key",
    details:
      "All of it in one transaction. With a key file a new key is made and takes its place. With AUTOKESTRA_SECRET_KEY the new key stands there, " +
      "and the one it replaces in AUTOKESTRA_SECRET_KEY_OLD, unless that is the key file; a running server must be stopped first, since it knows " +
      "only the environment that it was started with.",
    examples: [
      ["A new key file", "secrets rotate-key"],
      ["For programs", "secrets rotate-key --json"],
    ],
    load: async () => (await import("../commands/secrets.ts")).rotateKey,
  }),
];
