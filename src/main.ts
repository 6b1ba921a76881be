// The program's entry: answers --version before anything else is loaded, then hands the line to the CLI. The only place that ends the process.
import { writeSync } from "node:fs";
import { basename } from "node:path";
import { version } from "./base/version.ts";

const argv = process.argv.slice(2);

// The names under which a link to the binary is known; help speaks of itself by the one that was used.
function programName(): string {
  const called = basename(process.argv0);
  return called === "cra" || called === "artifactctl" ? called : "workflow";
}

if (argv.length === 1 && argv[0] === "--version") {
  // Not process.stdout: making that stream takes longer than all the rest.
  writeSync(1, `workflow ${version}\n`);
} else {
  const { processIo, runCli } = await import("./cli/index.ts");
  process.exit(await runCli(argv, programName(), processIo()));
}
