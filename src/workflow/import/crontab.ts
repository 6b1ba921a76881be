// Lines of a crontab: comments, variables, jobs, with their places. Both forms: of a user, and of the system with a user column.

export type CronLine =
  | { kind: "blank" | "unknown"; at: number; text: string }
  | { kind: "comment"; at: number; text: string }
  | { kind: "variable"; at: number; name: string; value: string }
  | { kind: "job"; at: number; schedule: string; user: string | null; command: string };

export type Crontab = { lines: CronLine[]; isSystem: boolean; jobs: number };

const field = String.raw`[0-9*?LW#,/~A-Za-z-]+`;
const jobPattern = new RegExp(String.raw`^\s*(?:(@[A-Za-z]+)|((?:${field}\s+){4}${field}))\s+(\S.*)$`);
const variablePattern = /^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z_]\w*))\s*=\s*(.*)$/;
const nicknames = new Set(["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]);

function isSchedule(text: string): boolean {
  if (text.startsWith("@")) return nicknames.has(text.toLowerCase());
  // Five words of a sentence are five fields too: every field holds a digit, a star, or the names of days and months.
  return text.split(/\s+/).every((one) => /[0-9*]/.test(one) || /^(?:[a-z]{3}[-,]?)+$/i.test(one));
}

/** The value without the quotes around it, as cron reads it. */
function unquote(value: string): string {
  const trimmed = value.trim();
  const match = /^(["'])(.*)\1$/s.exec(trimmed);
  return match === null ? trimmed : (match[2] ?? "");
}

function readLine(text: string, at: number): CronLine {
  const start = at + (/^\s*/.exec(text)?.[0].length ?? 0);
  if (text.trim() === "") return { kind: "blank", at, text };
  if (text.trimStart().startsWith("#")) return { kind: "comment", at: start, text: text.trim().slice(1) };
  const variable = variablePattern.exec(text);
  if (variable !== null)
    return { kind: "variable", at: start, name: variable[1] ?? variable[2] ?? variable[3] ?? "", value: unquote(variable[4] ?? "") };
  const job = jobPattern.exec(text);
  const schedule = (job?.[1] ?? job?.[2] ?? "").replace(/\s+/g, " ");
  if (job === null || !isSchedule(schedule)) return { kind: "unknown", at: start, text };
  return { kind: "job", at: start, schedule, user: null, command: job[3] ?? "" };
}

// Users that are no commands as well, as mail and git are.
const knownUsers = new Set("root www-data nobody daemon postgres ubuntu debian".split(" "));
const userPattern = /^([a-z_][a-z0-9_-]{0,30}\$?)(?::[\w-]+)?\s+(\S.*)$/;

/** A system crontab names a user before each command. Its header says so, or the users are ones that every system has. */
function findUsers(lines: readonly CronLine[]): boolean {
  const jobs = lines.flatMap((line) => (line.kind === "job" ? [userPattern.exec(line.command)?.[1] ?? null] : []));
  if (jobs.length === 0 || jobs.some((user) => user === null)) return false;
  const isSaid = lines.some((line) => line.kind === "comment" && /\b(?:user(?:-?name)?)\s+command\b/i.test(line.text));
  return isSaid || jobs.some((user) => user !== null && knownUsers.has(user));
}

/** Reads any text; what is no line of a crontab is `unknown`. */
export function readCrontab(text: string): Crontab {
  const lines: CronLine[] = [];
  let at = 0;
  for (const raw of text.split("\n")) {
    lines.push(readLine(raw.endsWith("\r") ? raw.slice(0, -1) : raw, at));
    at += raw.length + 1;
  }
  const isSystem = findUsers(lines);
  const jobs = lines.filter((line) => line.kind === "job").length;
  if (!isSystem) return { lines, isSystem, jobs };
  const withUsers = lines.map((line): CronLine => {
    const match = line.kind === "job" ? userPattern.exec(line.command) : null;
    return line.kind !== "job" || match === null ? line : { ...line, user: match[1] ?? null, command: match[2] ?? "" };
  });
  return { lines: withUsers, isSystem, jobs };
}

/** Cron's `%`: the first one ends the command, further ones are line breaks of its standard input; `\%` is the sign itself. */
export function splitPercent(command: string): { command: string; stdin: string | null } {
  const parts = command.split(/(?<!\\)%/).map((part) => part.replaceAll("\\%", "%"));
  return { command: parts[0] ?? "", stdin: parts.length === 1 ? null : parts.slice(1).join("\n") };
}
