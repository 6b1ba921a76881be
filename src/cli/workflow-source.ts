// Files checked in this process, before anything is sent or stored.
import { fail } from "../base/index.ts";
import { type Diagnostic, findCoreAction, hasErrors, type WorkflowDefinition } from "../model/index.ts";
import { type FindAction, type ParseOptions, parseWorkflow, renderDiagnostics } from "../workflow/index.ts";
import type { CliContext } from "./context.ts";
import { findExceeded } from "./plugin-approvals.ts";
import { hasColor } from "./render/style.ts";
import { visible } from "./render/visible.ts";
import type { SourceFile } from "./source-file.ts";

export type CheckedSource = { definition: WorkflowDefinition | null; diagnostics: Diagnostic[]; source: SourceFile };
export type ParsedSource = { id: string; source: SourceFile };

/**
 * All findings about one file. Plugins are looked for only where a task uses one: most files cost no look at the configuration.
 * `approvals`: also whether the store has approved what they ask for.
 */
export async function checkSource(context: CliContext, source: SourceFile, { approvals = false } = {}): Promise<CheckedSource> {
  const names = new Set<string>();
  const checked = parseSource(source, (action) => {
    const core = findCoreAction(action);
    if (core === null) names.add(action);
    return core;
  });
  const usesPlugins = [...names].some((action) => !action.startsWith("core/"));
  const asksConfig = usesPlugins || checked.diagnostics.some(({ code, path }) => code === "MISSING_KEY" && path.endsWith(".image"));
  if (!asksConfig) return { ...checked, source };
  const installed = await findInstalled(context, approvals ? checked.definition : null);
  return { ...parseSource(source, installed.findAction, installed), source };
}

type Known = Pick<ParseOptions, "findProblem" | "hasImage">;

function parseSource(source: SourceFile, findAction: FindAction, { findProblem = () => null, hasImage = false }: Known = {}) {
  const { file, folder } = source;
  const options = { file, hasFolder: folder !== null, findAction, findProblem, hasImage, availability: true };
  return parseWorkflow(source.broken ?? source.source, options);
}

/** What is installed here. `definition`: the workflow whose approvals count, null to leave them out. */
export async function findInstalled(context: CliContext, definition: WorkflowDefinition | null) {
  const { createRegistry, unapproved } = await import("../app/index.ts");
  const loaded = await context.loadConfig();
  const registry = createRegistry(loaded);
  const exceeded = definition === null ? new Map<string, string[]>() : await findExceeded(context, definition);
  return {
    findAction: (action: string) => registry.describe(action),
    findProblem: (action: string) => registry.problemOf(action) ?? unapproved(exceeded, action),
    hasImage: loaded.config.plugins.docker.image !== undefined,
  };
}

/** Findings with the lines they are about, on stderr. */
export function noteFindings(context: CliContext, checked: readonly CheckedSource[]): void {
  const diagnostics = checked.flatMap((one) => one.diagnostics);
  if (diagnostics.length === 0) return;
  const sources = new Map(checked.map(({ source }) => [visible(source.file), visible(source.source)]));
  const shown = diagnostics.map((found) => ({ ...found, file: visible(found.file), message: visible(found.message) }));
  const colour = hasColor({ isTty: context.io.stderrIsTty, noColorFlag: context.common.noColor, env: context.io.env });
  context.io.stderr(`${renderDiagnostics(shown, sources, { colour }).trimEnd()}\n`);
}

/** What is thrown for files with errors; with `--json` the findings are in it, otherwise they were shown before it. */
export function invalidSources(context: CliContext, checked: readonly CheckedSource[], verb: string): Error {
  const bad = checked.filter((one) => hasErrors(one.diagnostics));
  const diagnostics = bad.flatMap((one) => one.diagnostics);
  const errors = diagnostics.filter((found) => found.severity === "error").length;
  const files = bad.map(({ source }) => `"${source.file}"`).join(", ");
  const message = `Cannot ${verb} ${files}: ${errors} error${errors === 1 ? "" : "s"}`;
  return fail("WORKFLOW_INVALID", message, context.common.json ? { details: { diagnostics } } : {});
}

/** The definition of one file. @throws WORKFLOW_INVALID after showing the findings */
export async function requireDefinition(context: CliContext, source: SourceFile, verb: string): Promise<WorkflowDefinition> {
  const checked = await checkSource(context, source);
  if (checked.definition !== null) return checked.definition;
  if (!context.common.json) noteFindings(context, [checked]);
  throw invalidSources(context, [checked], verb);
}

/** Ids of files of which none has errors. @throws WORKFLOW_INVALID */
export async function requireIds(context: CliContext, sources: readonly SourceFile[], verb: string): Promise<ParsedSource[]> {
  const checked = await Promise.all(sources.map((source) => checkSource(context, source)));
  if (!context.common.json) noteFindings(context, checked);
  if (checked.some((one) => one.definition === null)) throw invalidSources(context, checked, verb);
  return checked.flatMap(({ definition, source }) => (definition === null ? [] : [{ id: definition.id, source }]));
}
