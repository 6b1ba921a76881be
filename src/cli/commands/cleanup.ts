// execution cleanup: removes what ended long ago. A server removes for a while at a time, so it is asked until nothing is left.
import { fail, parseDuration, parseTime } from "../../base/index.ts";
import { type Cleanup, terminalStates } from "../../model/index.ts";
import type { CliContext } from "../context.ts";

type CleanupValues = { olderThan: string | null; state: string[]; dryRun: boolean };

export async function cleanUp(context: CliContext, values: CleanupValues): Promise<void> {
  const olderThan = parseAge(values.olderThan);
  const states = parseStates(values.state);
  const { facade } = await context.connect();
  const request = { olderThan, ...(states.length === 0 ? {} : { states }), dryRun: values.dryRun };
  let done = await facade.cleanUpExecutions(request);
  while (!done.complete) {
    context.detail(`${done.executions} removed so far…`);
    const more = await facade.cleanUpExecutions(request);
    done = { ...more, executions: done.executions + more.executions, events: done.events + more.events };
  }
  if (context.common.json) return context.printJson(done);
  context.print(`${sentence(done)}\n`);
}

/** The server counts back from its own clock, so a duration is handed on as it is. */
function parseAge(text: string | null): string {
  if (text === null) throw fail("USAGE", "Cannot clean up: --older-than is missing", { hint: "For example: --older-than 30d" });
  if (parseDuration(text) !== null) return text;
  const time = parseTime(text) === null ? `${text}T00:00:00Z` : text;
  if ((parseTime(time) ?? -1) < 0)
    throw fail("USAGE", `Cannot use --older-than "${text}": neither a duration like 30d nor a time like 2026-01-31T12:00:00Z`);
  return time;
}

function parseStates(texts: readonly string[]): Cleanup["states"] {
  return texts
    .flatMap((text) => text.split(","))
    .map((text) => {
      const state = terminalStates.find((one) => one === text.trim().toUpperCase());
      if (state === undefined) throw fail("USAGE", `Cannot use --state "${text}": not one of ${terminalStates.join(", ")}`);
      return state;
    });
}

function sentence({ dryRun, executions, events, before }: Cleanup): string {
  const what = `${executions} ${executions === 1 ? "execution" : "executions"} that ended by ${before}, with ${events} events`;
  return dryRun ? `Would remove ${what}.` : `Removed ${what}.`;
}
