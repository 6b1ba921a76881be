// From argv to an exit code: finds the command, parses, runs it, and maps whatever it throws to stderr and the exit table.
import { fail } from "../base/index.ts";
import { openContext } from "./context.ts";
import { describeFailure } from "./failure.ts";
import { beforeDashes, type Found, findCommand } from "./find-command.ts";
import { brokenPipe, type CliIo } from "./io.ts";
import { commandSpecs } from "./registry.ts";
import { hasColor, loadStyle, type Style } from "./render/style.ts";

// As a process that SIGPIPE ended: 128 + 13.
const brokenPipeExit = 141;

/** Runs one command line. Never throws; the caller ends the process with what it returns. */
export async function runCli(argv: readonly string[], program: string, io: CliIo): Promise<number> {
  const given = beforeDashes(argv);
  const flags = { json: given.includes("--json"), verbose: given.includes("--verbose") };
  const styleFor = (isTty: boolean) => loadStyle(hasColor({ isTty, noColorFlag: given.includes("--no-color"), env: io.env }));
  try {
    const found = findCommand(argv, program);
    if (found.kind === "help" || given.includes("--help") || given.includes("-h")) {
      io.stdout(await renderHelp(found, program, await styleFor(io.stdoutIsTty)));
      return 0;
    }
    return await runCommand(found, { program, io });
  } catch (thrown) {
    if (thrown === brokenPipe) return brokenPipeExit;
    const failure = describeFailure(thrown, { ...flags, style: await styleFor(io.stderrIsTty) });
    io.stderr(failure.text);
    return failure.exitCode;
  }
}

type FoundCommand = Extract<Found, { kind: "command" }>;

async function runCommand({ spec, rest }: FoundCommand, { program, io }: { program: string; io: CliIo }): Promise<number> {
  if (spec.load === null)
    throw fail("NOT_AVAILABLE_YET", `Cannot run "${spec.path}": this version does not have it yet`, { hint: `See what there is: ${program} --help` });
  const { parseCommand } = await import("./parse.ts");
  const { common, values } = parseCommand(spec, rest, program);
  const handler = await spec.load();
  const { context, end } = await openContext(io, program, common);
  try {
    return (await handler(context, values as never)) ?? 0;
  } finally {
    await end();
  }
}

async function renderHelp(found: Found, program: string, style: Style): Promise<string> {
  const help = await import("./help.ts");
  const view = { program, style };
  if (found.spec !== null) return help.renderCommandHelp(found.spec, view);
  const word = found.kind === "help" ? found.word : null;
  if (word === null) return help.renderProgramHelp(commandSpecs, view);
  return help.renderGroupHelp(
    word,
    commandSpecs.filter((spec) => spec.path.startsWith(`${word} `)),
    view,
  );
}
