// What is being looked up for the tasks of one execution before they can start. Each task is asked about once until it is worth asking again.
import { type ErrorBody, fail, toErrorBody } from "../base/index.ts";
import { expressionText, maskTexts, type Vault } from "../secrets/index.ts";
import type { Preparation, SecretsFound } from "./decision.ts";
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

  isUnderWay(task: string): boolean {
    return this.#underWay.has(task);
  }

  ask(ask: TaskAsk): TaskPrepared | null {
    const { task } = ask;
    // The answer may come before the call has returned.
    this.#underWay.add(task);
    const prepared = this.#prepare(ask);
    if (prepared !== null) this.#underWay.delete(task);
    return prepared;
  }

  secrets(task: string, names: readonly string[]): SecretsFound | null {
    if (names.length === 0) return noSecrets;
    const known = this.#secrets.get(task);
    if (known !== undefined) return known;
    this.#underWay.add(task);
    void this.#readSecrets(names).then((found) => {
      this.#secrets.set(task, found);
      if (this.#underWay.delete(task)) this.#wake();
    });
    return null;
  }

  /** The attempt was decided: the next one reads its secrets afresh. */
  release(task: string): void {
    this.#secrets.delete(task);
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

  #prepare(ask: TaskAsk): TaskPrepared | null {
    try {
      return this.#invoker.prepare(ask, () => {
        if (this.#underWay.delete(ask.task)) this.#wake();
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
