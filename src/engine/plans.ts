// Compiled revisions, kept: parsing a thousand tasks with positions is slow, and a revision never changes.
import { fail } from "../base/index.ts";
import { findCoreAction, type WorkflowDefinition } from "../model/index.ts";
import type { RowOf, Store } from "../storage/index.ts";
import { readBlob } from "../trace/index.ts";
import { type CompiledWorkflow, compileWorkflow, parseWorkflow } from "../workflow/index.ts";

const keepMax = 200;

type Loaded = { plan: CompiledWorkflow; row: RowOf<"revisions"> };

export class Plans {
  readonly #store: Store;
  readonly #loaded = new Map<string, Loaded>();
  /** Compiled forms of texts that were just parsed, by digest, until their revision is loaded. */
  readonly #parsed = new Map<string, CompiledWorkflow>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The compiled form of a stored revision. @throws WORKFLOW_NOT_FOUND, BLOB_NOT_FOUND */
  async load(workflow: string, revision: number): Promise<Loaded> {
    const name = `${workflow} ${revision}`;
    const known = this.#loaded.get(name);
    if (known !== undefined) return known;
    const row = await this.#store.findRevision(workflow, revision);
    if (row === null) throw fail("WORKFLOW_NOT_FOUND", `Cannot load revision ${revision} of "${workflow}": no such revision`);
    const loaded = { plan: this.#parsed.get(row.sha256) ?? (await this.#parse(row)), row };
    this.#parsed.delete(row.sha256);
    remember(this.#loaded, name, loaded);
    return loaded;
  }

  /** Compiles and keeps a definition that was just parsed from the text with this digest, so that it is not parsed again. */
  keep(sha256: string, definition: WorkflowDefinition): void {
    remember(this.#parsed, sha256, compileWorkflow(definition));
  }

  async #parse(row: RowOf<"revisions">): Promise<CompiledWorkflow> {
    const { workflow, revision, sha256, folder } = row;
    const source = await readBlob(this.#store, sha256);
    const { definition, diagnostics } = parseWorkflow(source, {
      file: `${workflow}@${revision}`,
      hasFolder: folder !== null,
      findAction: findCoreAction,
    });
    if (definition !== null) return compileWorkflow(definition);
    const message = `Cannot load revision ${revision} of "${workflow}": this version finds errors in it`;
    throw fail("WORKFLOW_INVALID", message, { details: { diagnostics } });
  }
}

/** Keeps the newest so many. */
function remember<V>(kept: Map<string, V>, name: string, value: V): void {
  kept.set(name, value);
  const oldest = kept.keys().next().value;
  if (kept.size > keepMax && oldest !== undefined) kept.delete(oldest);
}
