// Compiled revisions, kept: parsing a thousand tasks with positions is slow, and a revision never changes.
import { fail } from "../base/index.ts";
import { findCoreAction, type WorkflowDefinition } from "../model/index.ts";
import type { RowOf, Store } from "../storage/index.ts";
import { readBlob } from "../trace/index.ts";
import { type CompiledWorkflow, compileWorkflow, parseWorkflow } from "../workflow/index.ts";

const keepMax = 200;

export class Plans {
  readonly #store: Store;
  readonly #kept = new Map<string, CompiledWorkflow>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The compiled form of a stored revision. @throws WORKFLOW_NOT_FOUND, BLOB_NOT_FOUND */
  async load(workflow: string, revision: number): Promise<{ plan: CompiledWorkflow; row: RowOf<"revisions"> }> {
    const row = await this.#store.findRevision(workflow, revision);
    if (row === null) throw fail("WORKFLOW_NOT_FOUND", `Cannot load revision ${revision} of "${workflow}": no such revision`);
    const name = `${workflow} ${row.sha256}`;
    const known = this.#kept.get(name);
    if (known !== undefined) return { plan: known, row };
    const source = await readBlob(this.#store, row.sha256);
    const { definition, diagnostics } = parseWorkflow(source, { file: `${workflow}@${revision}`, hasFolder: row.folder !== null, findAction: findCoreAction });
    if (definition === null)
      throw fail("WORKFLOW_INVALID", `Cannot load revision ${revision} of "${workflow}": this version finds errors in it`, { details: { diagnostics } });
    return { plan: this.keep(row.sha256, definition), row };
  }

  /** Compiles and keeps a definition that was just parsed from the text with this digest, so that it is not parsed again. */
  keep(sha256: string, definition: WorkflowDefinition): CompiledWorkflow {
    const plan = compileWorkflow(definition);
    this.#kept.set(`${definition.id} ${sha256}`, plan);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > keepMax && oldest !== undefined) this.#kept.delete(oldest);
    return plan;
  }
}
