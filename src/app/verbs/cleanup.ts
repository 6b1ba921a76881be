// The verb that removes old executions with their traces.
import { fail, limits, parseDuration, parseTime, toIso } from "../../base/index.ts";
import { type Caller, type Cleanup, terminalStates } from "../../model/index.ts";
import { cleanUp } from "../cleanup/index.ts";
import type { AppContext } from "../context.ts";
import type { CleanupRequest } from "../facade.ts";

/** Works for a bounded time: `complete` says whether to ask again. @throws BODY_INVALID */
export async function cleanUpExecutions(context: AppContext, caller: Caller, request: CleanupRequest): Promise<Cleanup> {
  const now = context.clock.now();
  const until = parseUntil(request.olderThan, now);
  const states = [...new Set(request.states ?? terminalStates)];
  const dryRun = request.dryRun ?? false;
  const deadline = dryRun ? null : now + limits.cleanupMsMax;
  const order = { states, until, reason: "cleanup", dryRun, isGentle: false, deadline } as const;
  const { executions, events, complete } = await context.cleanups.run((signal) => cleanUp(context, caller, order, signal));
  return { dryRun, before: toIso(until), states, executions, events, complete };
}

function parseUntil(text: string, now: number): number {
  const duration = parseDuration(text);
  // Longer ago than there are computers: nothing is older.
  if (duration !== null) return Math.max(0, now - duration);
  const at = parseTime(text);
  if (at === null || at < 0) throw fail("BODY_INVALID", `Cannot clean up what is older than "${text}": it is neither a duration nor a time`);
  return at;
}
