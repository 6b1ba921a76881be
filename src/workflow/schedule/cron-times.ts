// The times of a cron expression in a time zone. The library reads the expression and gives the wall times that match it; what a change
// of the clocks makes of them is decided here: by the library, lists of hours and steps of minutes would count as "every hour".
import type { Cron } from "croner";
import { firstMoment, nextChange, offsetAt } from "./zone.ts";

export type CronSchedule = { cron: string; timezone: string };

/** A time from which every expression that can fire at all does so within the library's search. */
const referenceTime = Date.UTC(2024, 0, 1);
const nicknames = new Set(["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]);
/** What the calendar of JavaScript can name, less a few days for the offsets. */
const timeMax = Date.UTC(9999, 11, 1);

/** The last expressions used: reading one costs as much as finding a time, and its tables are some kilobytes. */
const read = new Map<string, Cron>();
const readMax = 200;

/** Matches wall times: in UTC, where no clock is ever changed. @throws for a text that is no expression */
function patternOf(text: string): Cron {
  const known = read.get(text);
  if (known !== undefined) return known;
  const { Cron: Pattern } = require("croner") as typeof import("croner");
  const made = new Pattern(text.trim(), { paused: true, timezone: "UTC", mode: "5-or-6-parts" });
  if (read.size >= readMax) read.clear();
  read.set(text, made);
  return made;
}

/** Why a text is no cron expression for us, null when it is one: 5 or 6 fields or a nickname, and it fires some day. */
export function findCronProblem(text: string): string | null {
  const trimmed = text.trim();
  const fields = trimmed.split(/\s+/).length;
  if (trimmed.startsWith("@") ? !nicknames.has(trimmed.toLowerCase()) : fields !== 5 && fields !== 6) {
    return trimmed.startsWith("@") ? `is none of ${[...nicknames].join(", ")}` : `has ${fields} fields instead of 5 or 6`;
  }
  try {
    return nextWall(trimmed, referenceTime) === null ? "never fires" : null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message.replace(/^CronPattern: /, "") : String(thrown);
  }
}

/** Whether the expression says at which hours it fires; one with a wildcard or a step there fires in every hour that is. */
function namesHour(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed.startsWith("@")) return trimmed.toLowerCase() !== "@hourly";
  const hour = trimmed.split(/\s+/).at(-4) ?? "*";
  return !/[*?/]/.test(hour);
}

/** The first matching wall time after one. */
function nextWall(text: string, after: number): number | null {
  return patternOf(text).nextRun(new Date(after))?.getTime() ?? null;
}

/** The first time after a moment, both in milliseconds; null when there is none. */
export function nextCronTime(schedule: CronSchedule, after: number): number | null {
  if (after >= timeMax) return null;
  return namesHour(schedule.cron) ? nextNamed(schedule, after) : nextReal(schedule, after);
}

/** A time that the clocks leave out is the moment of their change; one that they show twice is its first coming. */
function nextNamed({ cron, timezone }: CronSchedule, after: number): number | null {
  let wall = after + offsetAt(timezone, after);
  const first = firstMoment(timezone, wall);
  // Within the second coming nothing fires, up to the change's wall time: that far it is behind.
  if (first < after) wall += Math.max(0, lastShown(timezone, wall) - wall);
  for (;;) {
    const next = nextWall(cron, wall);
    if (next === null || next > timeMax) return null;
    const at = firstMoment(timezone, next);
    if (at > after) return at;
    wall = next;
  }
}

/** The last second that is shown twice, of those around a wall time that is. */
function lastShown(timezone: string, wall: number): number {
  const change = nextChange(timezone, firstMoment(timezone, wall), wall + 86_400_000);
  return change === null ? wall : change + offsetAt(timezone, change - 1000) - 1000;
}

/** Goes from change to change: between two of them the wall clock runs as time does. */
function nextReal({ cron, timezone }: CronSchedule, after: number): number | null {
  let from = after;
  for (;;) {
    const offset = offsetAt(timezone, from);
    const wall = nextWall(cron, from + offset);
    if (wall === null || wall > timeMax) return null;
    const at = wall - offset;
    const change = nextChange(timezone, from, at);
    if (change === null) return at;
    // The change's own moment may match by the new offset: the search begins just before it, on the new clock.
    const second = nextWall(cron, change - 1000 + offsetAt(timezone, change));
    if (second === null) return null;
    const moved = second - offsetAt(timezone, change);
    if (nextChange(timezone, change, moved) === null) return moved;
    from = change;
  }
}

/** The next times after a moment, in milliseconds; fewer than `count` when there are no more. */
export function nextCronTimes(schedule: CronSchedule, after: number, count: number): number[] {
  const times: number[] = [];
  for (let at = nextCronTime(schedule, after); at !== null && times.length < count; at = nextCronTime(schedule, at)) times.push(at);
  return times;
}

/** The newest `max` times in (after, until], oldest first; `more`: there are others before them. */
export function newestCronTimes(schedule: CronSchedule, range: { after: number; until: number }, max: number): { times: number[]; more: boolean } {
  const { after, until } = range;
  // Looks back from the end through ever longer spans, so that years of seconds cost no more than `max` of them.
  for (let span = 60_000; ; span *= 2) {
    const from = Math.max(after, until - span);
    const times: number[] = [];
    for (let at = nextCronTime(schedule, from); at !== null && at <= until; at = nextCronTime(schedule, at)) times.push(at);
    if (times.length > max) return { times: times.slice(-max), more: true };
    if (from === after) return { times, more: false };
    if (times.length === max) return { times, more: (nextCronTime(schedule, after) ?? until) < (times[0] ?? until) };
  }
}
