// Commands about this installation.
import { command } from "../command.ts";

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
];
