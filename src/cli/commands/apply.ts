// apply PATH…: stores files and folders of workflows. All are checked before the first is written.
import { fail } from "../../base/index.ts";
import type { Facade } from "../../app/index.ts";
import type { CliContext } from "../context.ts";
import { visibleLine } from "../render/visible.ts";
import { isFolder, listWorkflowFiles, readSource, resolveFolder } from "../source-file.ts";
import { type ParsedSource, requireIds } from "../workflow-source.ts";

type ApplyValues = { paths: string[]; disable: boolean; dryRun: boolean; prune: boolean };
type Result = { file: string; id: string; revision: number; changed: boolean };

export async function applyPaths(context: CliContext, values: ApplyValues): Promise<void> {
  const folders = values.paths.filter((path) => path !== "-" && isFolder(context, path));
  if (values.prune && folders.length < values.paths.length) throw fail("USAGE", "Cannot prune: every path must be a folder");
  const sources = values.paths
    .flatMap((path) => (folders.includes(path) ? listWorkflowFiles(context, path) : [path]))
    .map((file) => readSource(context, file));
  if (sources.length === 0 && !values.prune) throw fail("FILE_NOT_FOUND", `Cannot apply ${values.paths.join(", ")}: no workflow files there`);
  const parsed = await requireIds(context, sources, "apply");
  refuseDoubles(parsed);
  const { facade, knowsFolders } = await context.connect();
  if (values.prune && !knowsFolders) throw fail("USAGE", "Cannot prune on a server named by its URL: it knows nothing of this machine's folders");
  const results: Result[] = [];
  for (const { id, source } of parsed) results.push(await applyOne(context, facade, { id, source, values }));
  if (values.prune) await prune(context, facade, { folders, kept: new Set(parsed.map(({ id }) => id)), dryRun: values.dryRun });
  if (context.common.json) context.printJson({ results });
}

async function applyOne(context: CliContext, facade: Facade, { id, source, values }: ParsedSource & { values: ApplyValues }): Promise<Result> {
  const { created, applied } = await facade.applyWorkflow({
    id,
    source: source.source,
    folder: source.folder,
    file: source.file,
    ...(values.disable ? { enabled: false } : {}),
    ...(values.dryRun ? { dryRun: true } : {}),
  });
  if (!context.common.json) {
    const what = created ? "created" : applied.changed ? "changed" : "unchanged";
    context.print(
      `${(values.dryRun ? `would be ${what}` : what).padEnd(10)}  ${applied.id}  revision ${applied.revision}  ${visibleLine(source.file)}\n`,
    );
  }
  return { file: source.file, id: applied.id, revision: applied.revision, changed: applied.changed };
}

function refuseDoubles(parsed: readonly ParsedSource[]): void {
  const files = new Map<string, string>();
  for (const { id, source } of parsed) {
    const other = files.get(id);
    if (other !== undefined) throw fail("ALREADY_EXISTS", `Cannot apply "${source.file}": "${other}" has the same id "${id}"`);
    files.set(id, source.file);
  }
}

type Prune = { folders: readonly string[]; kept: ReadonlySet<string>; dryRun: boolean };

// Only what came from the given folders: a workflow that was applied from elsewhere is none of theirs.
async function prune(context: CliContext, facade: Facade, { folders, kept, dryRun }: Prune): Promise<void> {
  const roots = folders.map((folder) => resolveFolder(context, folder));
  for (const id of await allIds(facade)) {
    if (kept.has(id)) continue;
    const { folder } = await facade.getWorkflow(id);
    if (folder === null || !roots.some((root) => folder === root || folder.startsWith(`${root}/`))) continue;
    if (!dryRun) await facade.deleteWorkflow(id);
    if (!context.common.json) context.print(`${dryRun ? "would be deleted" : "deleted   "}  ${id}\n`);
    else context.note(`${dryRun ? "Would delete" : "Deleted"} ${id}.`);
  }
}

async function allIds(facade: Facade): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await facade.listWorkflows({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    ids.push(...page.workflows.map((workflow) => workflow.id));
    cursor = page.nextCursor;
  }
  return ids;
}
