// A foreign source to workflows: guess what it is, read it within bounds, convert it, and prove that the result is valid.
import { fail, limits } from "../../base/index.ts";
import type { Diagnostic } from "../../model/index.ts";
import type { RawNode } from "../source/raw-node.ts";
import { readYaml } from "../source/read-yaml.ts";
import { createReport, type Report } from "../source/report.ts";
import { createSourceText, decodeSource, type SourceText } from "../source/source-text.ts";
import { readCrontab } from "./crontab.ts";
import { importCrontab } from "./crontab-import.ts";
import { importDagu } from "./dagu.ts";
import type { Draft } from "./draft.ts";
import { finishDraft } from "./finish-draft.ts";
import { importGithub } from "./github.ts";
import { createNames } from "./names.ts";
import { createNotebook, type ImportNote, type Notebook } from "./notes.ts";

export type { ImportNote } from "./notes.ts";

export const importKinds = ["dagu", "github", "cron"] as const;
export type ImportKind = (typeof importKinds)[number];

export type ImportOptions = {
  /** Name of the source in findings; the result is named for it where the source says no name. */
  file: string;
  /** What the source is; guessed from its content where it is left out. */
  from?: ImportKind;
};

/** `file` is the name that the result would have in a folder. */
export type ImportedWorkflow = { id: string; file: string; source: string };
export type Imported = { from: ImportKind; workflows: ImportedWorkflow[]; notes: ImportNote[] };

function stemOf(file: string): string {
  const base = file.split("/").at(-1) ?? "";
  return base.replace(/\.[A-Za-z]+$/, "") || "imported";
}

function refuse(file: string, why: string, diagnostics: Diagnostic[]): Error {
  return fail("WORKFLOW_INVALID", `Cannot import "${file}": ${why}`, { details: { diagnostics } });
}

/** The kinds that the keys at the left edge, or the lines, look like. */
function guessKinds(text: string): ImportKind[] {
  const { lines, jobs } = readCrontab(text);
  if (jobs > 0 && lines.every((line) => line.kind !== "unknown")) return ["cron"];
  const has = (key: string): boolean => new RegExp(`^(?:\\{\\s*)?["']?${key}["']?\\s*:`, "m").test(text) || hasJsonKey(text, key);
  const kinds: ImportKind[] = [];
  if (has("jobs")) kinds.push("github");
  if (has("steps")) kinds.push("dagu");
  if (jobs > 0) kinds.push("cron");
  // A script in a YAML file may hold lines of a crontab.
  return kinds.length > 1 && kinds[0] !== "cron" ? kinds.filter((kind) => kind !== "cron") : kinds;
}

function hasJsonKey(text: string, key: string): boolean {
  if (!text.trimStart().startsWith("{")) return false;
  try {
    return Object.hasOwn(JSON.parse(text) as object, key);
  } catch {
    return false;
  }
}

function guessKind(text: string, file: string): ImportKind {
  const kinds = guessKinds(text);
  const [kind] = kinds;
  if (kind !== undefined && kinds.length === 1) return kind;
  const looked = "jobs: (github), steps: (dagu), lines of five time fields and a command (cron)";
  const why = kinds.length === 0 ? `it has none of ${looked}` : `it looks like ${kinds.join(" and ")}; looked for ${looked}`;
  throw fail("USAGE", `Cannot tell what "${file}" is: ${why}`, { hint: "Say it with --from dagu, github or cron." });
}

/** Lines that are not of the wanted document are left empty, so that places stay those of the file. */
function splitDocuments(text: string): string[] {
  const lines = text.split("\n");
  const starts = lines.flatMap((line, index) => (/^---\s*$/.test(line) ? [index] : []));
  if (starts.length === 0) return [text];
  const edges = [-1, ...starts, lines.length];
  const parts = edges.slice(0, -1).map((from, index) => {
    const to = edges[index + 1] ?? lines.length;
    return lines.map((line, at) => (at > from && at < to ? line : "")).join("\n");
  });
  return parts.filter((part) => /^\s*[^\s#]/m.test(part));
}

type Read = { root: RawNode; source: SourceText };

function readDocuments(texts: readonly string[], source: SourceText, report: Report): Read[] {
  return texts.flatMap((text) => {
    const root = readYaml({ ...source, text }, report);
    return root === null ? [] : [{ root, source }];
  });
}

function checkSize(source: string | Uint8Array, report: Report): void {
  const bytes = typeof source === "string" ? Buffer.byteLength(source) : source.byteLength;
  if (bytes <= limits.workflowBytesMax) return;
  report.add({ code: "YAML_LIMIT", path: "", message: `The file has more than ${limits.workflowBytesMax} bytes`, at: { start: 0, end: 0 } });
}

function convert(kind: ImportKind, source: SourceText, context: { book: Notebook; report: Report }): Draft[] {
  const { book, report } = context;
  const stem = stemOf(source.file);
  if (kind === "cron") return importCrontab(source.text, { stem, book });
  // A file of Dagu may hold the DAGs that its steps run.
  const texts = kind === "dagu" ? splitDocuments(source.text) : [source.text];
  if (texts.length > limits.importWorkflowsMax) return [];
  const read = readDocuments(texts, source, report);
  if (report.hasErrors()) return [];
  return read.map(({ root }) => (kind === "dagu" ? importDagu(root, { source, stem, book }) : importGithub(root, { source, stem, book })));
}

/**
 * Converts a DAG of Dagu, a workflow of GitHub Actions or a crontab. Each result has no errors; what it does not have is in the notes.
 * @throws USAGE when it cannot be told what the source is
 * @throws WORKFLOW_INVALID when it is not well-formed, passes a limit, or holds nothing that could run; `details.diagnostics` says where
 */
export function importWorkflow(content: string | Uint8Array, options: ImportOptions): Imported {
  const { file } = options;
  const text = decodeSource(content);
  const source = createSourceText(text ?? "", file);
  const report = createReport(source);
  checkSize(content, report);
  if (report.hasErrors()) throw refuse(file, "it is too large", report.list());
  if (text === null) {
    report.add({ code: "YAML_SYNTAX", path: "", message: "The file is not UTF-8", at: { start: 0, end: 0 } });
    throw refuse(file, "it is not UTF-8", report.list());
  }
  const from = options.from ?? guessKind(text, file);
  const book = createNotebook(source);
  const drafts = convert(from, source, { book, report });
  if (report.hasErrors()) throw refuse(file, "it is not well-formed", report.list());
  if (drafts.length === 0) throw refuse(file, "it holds nothing to import", []);
  if (drafts.length > limits.importWorkflowsMax) throw refuse(file, `it holds more than ${limits.importWorkflowsMax} workflows`, []);
  const uniqueName = createNames();
  const workflows = drafts.map((draft) => {
    draft.id = uniqueName(draft.id);
    return { id: draft.id, file: `${draft.id}.yaml`, source: finishDraft(draft, book) };
  });
  const hint = "Run it once with: workflow run FILE --learn; it prints the block to add.";
  book.changed({ at: 0, path: "" }, "No permissions are granted: what scripts need of network and files cannot be known", hint);
  return { from, workflows, notes: book.list() };
}
