// All file triggers of this process: which are watched follows from what is armed, which the scheduler knows.
import { canonicalJson } from "../../base/index.ts";
import type { FileTrigger, TriggerDefinition } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { FileWatch, type FileWatchDeps } from "./file-watch.ts";

type Running = { watch: FileWatch; text: string };

export class FileWatches {
  readonly #deps: FileWatchDeps;
  readonly #running = new Map<string, Map<string, Running>>();
  /** Workflows of which the store knows a watch. */
  #stored: Set<string> | null = null;

  constructor(deps: FileWatchDeps) {
    this.#deps = deps;
  }

  /** Watches what an armed and enabled workflow wants watched. A trigger that says the same as before goes on as it is. */
  async arm(row: RowOf<"workflows">, triggers: readonly TriggerDefinition[]): Promise<void> {
    const wanted = triggers.filter((trigger): trigger is FileTrigger => trigger.type === "file");
    const running = this.#running.get(row.id) ?? new Map<string, Running>();
    const stored = await this.#storedWorkflows();
    if (wanted.length === 0 && running.size === 0 && !stored.has(row.id)) return;
    const texts = new Map(wanted.map((trigger) => [trigger.id, canonicalJson({ folder: row.folder, trigger })]));
    for (const [id, { watch, text }] of running) {
      if (texts.get(id) === text) continue;
      running.delete(id);
      await watch.stop();
    }
    await this.#deps.context.store.forgetWatches(row.id, [...texts.keys()]);
    for (const trigger of wanted) {
      if (running.has(trigger.id)) continue;
      const watch = new FileWatch(this.#deps, { workflow: row.id, folder: row.folder, trigger });
      running.set(trigger.id, { watch, text: texts.get(trigger.id) ?? "" });
      watch.start();
    }
    if (wanted.length > 0) stored.add(row.id);
    this.#running.set(row.id, running);
  }

  /** A workflow that is disabled, unarmed or gone: what comes meanwhile is not made up for. */
  async drop(workflow: string): Promise<void> {
    for (const { watch } of this.#running.get(workflow)?.values() ?? []) await watch.stop();
    this.#running.delete(workflow);
    const stored = await this.#storedWorkflows();
    if (stored.delete(workflow)) await this.#deps.context.store.forgetWatches(workflow, []);
  }

  /** After all that is armed was taken up: drops the rest. */
  async dropOthers(): Promise<void> {
    for (const workflow of await this.#storedWorkflows()) if (!this.#running.has(workflow)) await this.drop(workflow);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].flatMap((of) => [...of.values()].map(({ watch }) => watch.stop())));
    this.#running.clear();
  }

  async #storedWorkflows(): Promise<Set<string>> {
    this.#stored ??= new Set((await this.#deps.context.store.listWatches()).map((row) => row.workflow));
    return this.#stored;
  }
}
