// A crontab becomes one workflow per job: each can then be started, switched off and looked at by its own id.
import type { JsonObject } from "../../base/index.ts";
import { findCronProblem } from "../schedule/cron-times.ts";
import { type CronLine, readCrontab, splitPercent } from "./crontab.ts";
import { createDraft, type Draft } from "./draft.ts";
import { createNames, isVariableName, looksSecret, workflowId } from "./names.ts";
import type { Notebook } from "./notes.ts";
import { literal } from "./texts.ts";

type Job = Extract<CronLine, { kind: "job" }>;
type Variable = Extract<CronLine, { kind: "variable" }>;
/** What the lines so far have set for the jobs below them. */
type Settings = { env: Record<string, string>; shell: "sh" | "bash"; timezone: string | null };

const before = /^(?:\s*(?:[A-Za-z_]\w*=\S*|(?:\/\S*\/)?(?:env|sudo|nice|ionice|nohup|time|exec|chronic|timeout)|-\w+|\d+[smhd]?)\s+)+/;
const guards = /^\s*(?:\[[^\]]*\]|test\s[^&|;]*|cd\s+[^&|;]*|command\s+-v\s[^&|;]*)\s*(?:&&|;)\s*/;

const locks = /^\s*(?:\S*\/)?flock\s+(?:-\w+\s+(?:\d+\s+)?)*\S+\s+(?:-c\s+)?/;

/** A name for a job: its program, without path and ending, behind what only prepares for it. */
function nameOfCommand(command: string): string {
  // A long line names its program at the start.
  let rest = command.slice(0, 500).replace(locks, "");
  for (let next = rest.replace(guards, ""); next !== rest; next = rest.replace(guards, "")) rest = next;
  const words = rest.replace(before, "").trim().split(/\s+/);
  const isInterpreter = /(?:^|\/)(?:sh|bash|python[\d.]*|perl|ruby|php[\d.]*|node)$/.test(words[0] ?? "");
  const word = (isInterpreter ? words.slice(1).find((one) => !one.startsWith("-") && /\.\w+$|\//.test(one)) : null) ?? words[0] ?? "";
  const base = word.split("/").findLast((part) => part !== "") ?? "";
  return base.replace(/\.(?:sh|bash|py|pl|rb|php|js|ts)$/, "");
}

function setVariable(line: Variable, settings: Settings, book: Notebook): void {
  const { name, value } = line;
  const place = { at: line.at, path: name };
  if (name === "SHELL") {
    settings.shell = /(?:^|\/)bash$/.test(value) ? "bash" : "sh";
    if (!/(?:^|\/)(?:ba|da)?sh$/.test(value))
      book.lost(place, "This shell cannot be carried over: the jobs below get sh", "shell: takes sh, bash, bun or python3.");
  } else if (name === "CRON_TZ" || name === "TZ") {
    settings.timezone = value;
    if (name === "TZ") settings.env["TZ"] = value;
  } else if (name === "MAILTO" || name === "MAILFROM")
    book.lost(place, `${name} is not carried over: nothing is mailed`, "Write an onFailure: task of type core/email.send, with host, from and to.");
  else if (!isVariableName(name)) book.lost(place, "This name cannot be a variable, and is not carried over");
  else {
    settings.env[name] = value;
    if (!looksSecret(name)) return;
    const hint = `workflow secrets set ${name}, then secrets: [${name}] and env: { ${name}: "{{ secrets.${name} }}" }`;
    book.lost(place, `${name} looks like a secret, and stands in plain text in the result as it does here`, hint);
  }
}

/** Cron gives a job no standard input but what follows its first `%`. */
function scriptOf(job: Job, book: Notebook): string {
  const { command, stdin } = splitPercent(job.command);
  const place = { at: job.at, path: job.schedule };
  if (command !== job.command) book.changed(place, stdin === null ? "\\% was written as %" : "What follows the first % became the standard input");
  if (stdin === null) return `${command}\n`;
  let end = "STDIN";
  while (stdin.split("\n").includes(end)) end += "_";
  return `{\n${command}\n} <<'${end}'\n${stdin}${stdin.endsWith("\n") ? "" : "\n"}${end}\n`;
}

function triggerOf(job: Job, settings: Settings, book: Notebook): JsonObject | null {
  const place = { at: job.at, path: job.schedule };
  if (job.schedule.toLowerCase() === "@reboot") {
    book.lost(place, "@reboot is not carried over: nothing starts when the machine does", "Start it from a service of the system: workflow run ID.");
    return null;
  }
  const problem = findCronProblem(job.schedule);
  if (problem !== null) {
    book.lost(place, `The schedule "${job.schedule.slice(0, 100)}" is not carried over: ${problem}`, "Write a trigger of type cron with 5 fields.");
    return null;
  }
  const timezone = settings.timezone === null ? {} : { timezone: settings.timezone };
  return { id: "cron", type: "cron", cron: job.schedule, ...timezone };
}

function envOf(settings: Settings): JsonObject {
  return Object.fromEntries(Object.entries(settings.env).map(([name, value]) => [name, literal(value)]));
}

function draftOf(job: Job, context: { id: string; settings: Settings; comment: string[]; book: Notebook }): Draft {
  const { settings, book, comment } = context;
  const place = { at: job.at, path: job.schedule };
  const draft = createDraft(context.id, place);
  const said = comment.join("\n").trim();
  if (said !== "") draft.description = said;
  const trigger = triggerOf(job, settings, book);
  if (trigger !== null) draft.triggers.push({ value: trigger, place, comment: null });
  const run = scriptOf(job, book);
  const env = envOf(settings);
  const task: JsonObject = { id: "run", run, ...(settings.shell === "sh" ? {} : { shell: settings.shell }) };
  if (Object.keys(env).length > 0) task["env"] = env;
  draft.tasks.push({ value: task, place, comment: null });
  if (job.user !== null) book.lost(place, `The user "${job.user}" is not carried over: tasks run in the sandbox, as the user of the server`);
  return draft;
}

function noteDifferences(jobs: readonly Job[], isZoned: boolean, book: Notebook): void {
  const first = jobs[0];
  if (first === undefined) return;
  const place = { at: first.at, path: "" };
  book.changed(place, "Jobs run in sh -eu: a command that fails and a variable that is not set end them", 'Write "|| true" and "${NAME:-}".');
  book.changed(place, "Jobs start in the workspace, an empty folder, not in the home folder of a user", "Use absolute paths, or cd.");
  if (!isZoned) book.changed(place, "cron counts in the time zone of its machine, the result in UTC", "Add timezone: to each trigger.");
}

const isHeader = (text: string): boolean => /\bdom\s+mon\s+dow\b|^[-.|* ]*$|^[-.|* ]*(?:minute|hour|day of|month)\b/i.test(text);

/** What a comment says of the job below it; a job that is commented out is none of that. */
function takeComment(line: { at: number; text: string }, comment: string[], book: Notebook): void {
  const text = line.text.trim();
  const [inner] = readCrontab(text).lines;
  if (inner?.kind === "job") return book.changed({ at: line.at, path: "" }, "A job that is commented out is not imported");
  if (!isHeader(text)) comment.push(text);
}

/** One draft per job, in order. `stem` names a job whose command gives no name. */
export function importCrontab(text: string, { stem, book }: { stem: string; book: Notebook }): Draft[] {
  const { lines } = readCrontab(text);
  const settings: Settings = { env: {}, shell: "sh", timezone: null };
  const uniqueName = createNames();
  const drafts: Draft[] = [];
  let comment: string[] = [];
  for (const line of lines) {
    if (line.kind === "comment") takeComment(line, comment, book);
    else if (line.kind === "variable") setVariable(line, settings, book);
    else if (line.kind === "unknown")
      book.lost({ at: line.at, path: "" }, "This line is neither a job, a variable nor a comment, and is not carried over");
    else if (line.kind === "job")
      drafts.push(draftOf(line, { id: uniqueName(workflowId(nameOfCommand(line.command), stem)), settings, comment, book }));
    // A comment belongs to the job right below it.
    if (line.kind !== "comment") comment = [];
  }
  const jobs = lines.filter((line) => line.kind === "job");
  noteDifferences(jobs, settings.timezone !== null, book);
  return drafts;
}
