// Time as a dependency: engine, triggers and tests take a Clock; nothing below `app` reads the system's time.

/** Milliseconds since the epoch, UTC. */
export type Millis = number;

export interface Clock {
  now(): Millis;
}

/** RFC 3339 in UTC with milliseconds, the only form in which times leave the process. */
export function toIso(at: Millis): string {
  return new Date(at).toISOString();
}

/** RFC 3339 of a nullable time. */
export function toIsoOrNull(at: Millis | null): string | null {
  return at === null ? null : toIso(at);
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds of a strict RFC 3339 time, null when it is not one. Refuses days that do not exist. */
export function parseTime(text: string): Millis | null {
  const match = rfc3339.exec(text);
  if (match === null) return null;
  const [, year, month, day] = match;
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > days) return null;
  const at = Date.parse(text.toUpperCase());
  return Number.isNaN(at) ? null : at;
}
