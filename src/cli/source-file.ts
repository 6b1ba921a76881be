// Workflow files as a command line names them: FILE or ID, `-` for stdin, folders of workflows.
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fail } from "../base/index.ts";
import type { CliContext } from "./context.ts";

export type SourceFile = {
  /** As it was given, for messages. */
  file: string;
  /** The text, with a byte order mark where the file has one: as UTF-8 it is the file's bytes again. */
  source: string;
  /** The bytes of a file that is not UTF-8. Its text is then good for showing places only. */
  broken?: Uint8Array;
  /** Absolute folder with links resolved, the current one for stdin; null for a stored text that has none. */
  folder: string | null;
};

const extension = /\.(ya?ml|json)$/i;

/** Whether FILE|ID names a file (cli.md, run). */
export function namesFile(context: CliContext, target: string): boolean {
  return target === "-" || target.includes("/") || extension.test(target) || existsSync(resolve(context.io.cwd, target));
}

/** The bytes of a file, or of stdin for `-`. @throws FILE_NOT_FOUND */
export function readInput(context: CliContext, file: string): Uint8Array {
  try {
    return file === "-" ? context.io.readStdin() : readFileSync(resolve(context.io.cwd, file));
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : String(code ?? cause);
    throw fail("FILE_NOT_FOUND", `Cannot read "${file}": ${why}`, { cause });
  }
}

/** The text of UTF-8 bytes, byte order mark included; null for other bytes. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

const decodeLossy = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** @throws FILE_NOT_FOUND */
export function readSource(context: CliContext, file: string): SourceFile {
  const bytes = readInput(context, file);
  const text = decodeText(bytes);
  const content = text === null ? { source: decodeLossy(bytes), broken: bytes } : { source: text };
  if (file === "-") return { file: "<stdin>", ...content, folder: realpathSync(context.io.cwd) };
  return { file, ...content, folder: realpathSync(dirname(resolve(context.io.cwd, file))) };
}

/** Whether a path is a folder. @throws FILE_NOT_FOUND */
export function isFolder(context: CliContext, path: string): boolean {
  const found = statSync(resolve(context.io.cwd, path), { throwIfNoEntry: false });
  if (found === undefined) throw fail("FILE_NOT_FOUND", `Cannot read "${path}": no such file or folder`);
  return found.isDirectory();
}

/** Absolute, with links resolved. */
export function resolveFolder(context: CliContext, path: string): string {
  return realpathSync(resolve(context.io.cwd, path));
}

/** The workflow files below a folder, by name; hidden folders and node_modules are left out. */
export function listWorkflowFiles(context: CliContext, folder: string): string[] {
  const entries = readdirSync(resolve(context.io.cwd, folder), { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith(".") || entry.name === "node_modules" ? [] : listWorkflowFiles(context, path);
    return extension.test(entry.name) && looksLikeWorkflow(decodeLossy(readInput(context, path))) ? [path] : [];
  });
}

// By its keys, not by a parse: a workflow with a syntax error is to be reported, not passed over.
function looksLikeWorkflow(source: string): boolean {
  const hasKey = (key: string) => new RegExp(`(^|[{,])\\s*["']?${key}["']?\\s*:`, "m").test(source);
  return hasKey("id") && hasKey("tasks");
}
