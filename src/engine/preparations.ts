// What is being looked up for the runs of one execution before they can start. Each run is asked about once until it is worth asking again.
import { type ErrorBody, fail, toErrorBody } from "../base/index.ts";
import { expressionText, maskTexts, type Vault } from "../secrets/index.ts";
import type { Preparation, SecretsFound } from "./decision.ts";
import { nameOf } from "./machine.ts";
import type { TaskAsk, TaskInvoker, TaskPrepared } from "./ports.ts";

const noSecrets: SecretsFound = { ok: true, values: {}, masks: [] };

export class Preparations implements Preparation {
  readonly #invoker: TaskInvoker;
  readonly #vault: Pick<Vault, "readSecrets">;
  readonly #wake: () => void;
  readonly #underWay = new Set<string>();
  /** Read for an attempt that has not started yet. */
  readonly #secrets = new Map<string, SecretsFound>();

  /** `wake` is called when a task that could not start yet may start now. */
  constructor(deps: { invoker: TaskInvoker; vault: Pick<Vault, "readSecrets"> }, wake: () => void) {
    this.#invoker = deps.invoker;
    this.#vault = deps.vault;
    this.#wake = wake;
  }

  isUnderWay(run: string): boolean {
    return this.#underWay.has(run);
  }

  ask(ask: TaskAsk): TaskPrepared | null {
    const name = nameOf(ask.task, ask.itemIndex);
    // The answer may come before the call has returned.
    this.#underWay.add(name);
    const prepared = this.#prepare(ask, name);
    if (prepared !== null) this.#underWay.delete(name);
    return prepared;
  }

  secrets(run: string, names: readonly string[]): SecretsFound | null {
    if (names.length === 0) return noSecrets;
    const known = this.#secrets.get(run);
    if (known !== undefined) return known;
    this.#underWay.add(run);
    void this.#readSecrets(names).then((found) => {
      this.#secrets.set(run, found);
      if (this.#underWay.delete(run)) this.#wake();
    });
    return null;
  }

  /** The attempt was decided: the next one reads its secrets afresh. */
  release(run: string): void {
    this.#secrets.delete(run);
  }

  async #readSecrets(names: readonly string[]): Promise<SecretsFound> {
    try {
      const found = await this.#vault.readSecrets(names);
      const missing = names.filter((name) => !found.has(name));
      if (missing.length > 0) return { ok: false, error: toErrorBody(secretsMissing("resolve the task's secrets", missing)) };
      const values = Object.fromEntries([...found].map(([name, bytes]) => [name, expressionText(bytes)]));
      return { ok: true, values, masks: [...found.values()].flatMap(maskTexts) };
    } catch (cause) {
      return { ok: false, error: toErrorBody(cause) };
    }
  }

  #prepare(ask: TaskAsk, name: string): TaskPrepared | null {
    try {
      return this.#invoker.prepare(ask, () => {
        if (this.#underWay.delete(name)) this.#wake();
      });
    } catch (cause) {
      return unprepared(ask, toErrorBody(cause));
    }
  }
}

/** SECRETS_MISSING with all the names. */
export function secretsMissing(what: string, names: readonly string[]) {
  const hint = `Store each: workflow secrets set ${names[0] ?? "NAME"}`;
  return fail("SECRETS_MISSING", `Cannot ${what}: no such secret: ${names.join(", ")}`, { details: { names: [...names] }, hint });
}

/** What goes wrong while preparing fails the task, not the engine. */
function unprepared(ask: TaskAsk, refusal: ErrorBody): TaskPrepared {
  return {
    runtime: ask.runtime,
    pluginSha256: null,
    imageDigest: null,
    permissions: {},
    timeoutMs: null,
    env: [],
    sandbox: { level: "off", layers: [] },
    refusal,
    denials: [],
    ticket: null,
  };
}
