// Durations as people write them: 500ms, 30s, 5m, 2h, 1d (also 1h30m), or ISO 8601 (PT1H30M). Always milliseconds inside.

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const short = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;
const part = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g;
const iso = /^P(?:(\d+)W|(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?)$/;

/** A duration's milliseconds, null when the text is not a duration. Years and months have no fixed length and are refused. */
export function parseDuration(text: string): number | null {
  if (short.test(text)) {
    let total = 0;
    for (const [, number, unit] of text.matchAll(part)) total += Number(number) * (unitMs[unit ?? ""] ?? Number.NaN);
    return Number.isFinite(total) ? Math.round(total) : null;
  }
  const match = iso.exec(text);
  if (match === null || text === "P" || text.endsWith("T")) return null;
  const [, weeks, days, hours, minutes, seconds] = match.map((value) => (value === undefined ? 0 : Number(value)));
  const total = (weeks ?? 0) * 604_800_000 + (days ?? 0) * 86_400_000 + (hours ?? 0) * 3_600_000 + (minutes ?? 0) * 60_000 + (seconds ?? 0) * 1000;
  return Number.isFinite(total) ? Math.round(total) : null;
}

/** A duration for people: `340ms`, `1.2s`, `2m 05s`, `1h 02m`. */
export function renderDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)}s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes}m ${String(Math.floor((ms % 60_000) / 1000)).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}
