// What the tests of warm workers share: a world with a pool, and plugins that tell which worker served them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/base/index.ts";
import type { CallableAction } from "../../src/model/index.ts";
import { type ActionCall, WarmPool } from "../../src/plugins/invoke/index.ts";
import { type ProcessHandle, spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { until } from "../product/binary.ts";
import { InvokeWorld, outputOf } from "./invoke-world.ts";

export type Counted = JsonObject & { id: string; count: number };

/** Every call answers with the id of its worker, made by the first, and the number of calls that one has served. */
const counting = "const id = (globalThis.id ??= crypto.randomUUID()); const count = (globalThis.count = (globalThis.count ?? 0) + 1);";

export class WarmWorld extends InvokeWorld {
  readonly root = join(this.folder, "data", "work");
  /** Of all workers that were started. */
  readonly handles: ProcessHandle[] = [];
  readonly #pools: WarmPool[] = [];

  constructor() {
    super();
    this.deps.warm = this.openPool();
  }

  openPool(owner = "this process", isDead: (owner: string) => boolean = () => false): WarmPool {
    const spawn: typeof spawnProcess = (spec) => {
      const handle = spawnProcess(spec);
      this.handles.push(handle);
      return handle;
    };
    const { gate, watchdog, root } = this;
    const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));
    const pool = new WarmPool({ spawn, gate, watchdog, root, owner, isDead, clock: { now: Date.now }, randomBytes });
    this.#pools.push(pool);
    return pool;
  }

  async closeAll(): Promise<void> {
    for (const pool of this.#pools) await pool.close();
    this.close();
  }

  /** A TypeScript plugin that is kept warm; `input` and `ctx` are in scope of the body. */
  warm(body: string, keepWarm = 1): CallableAction {
    const main = `import { definePlugin } from "autokestra/sdk";
import * as fs from "node:fs";
export default definePlugin({ actions: { run: async (input: any, ctx) => { ${counting} ${body}; return { id, count }; } } });\n`;
    return kept(this.plugin({ "main.ts": main }), keepWarm);
  }

  /** A Python program that serves calls one after the other. */
  python(body: string): CallableAction {
    const main = `#!/usr/bin/env python3
import json, os, sys, threading, time, uuid
worker = str(uuid.uuid4())
def answer(mark, frame, marks=(1, 2)):
    for stream in marks: os.write(stream, (mark + "\\n").encode())
    os.write(3, (mark + " " + json.dumps(frame) + "\\n").encode())
for line in sys.stdin:
    r = json.loads(line)
    mark, input = r["mark"], r["input"]
${body.replace(/^/gm, "    ")}
`;
    return kept(this.plugin({ "main.py": main }, { runtime: "exec", entrypoint: ["./main.py"] }), 1);
  }

  async counted(action: CallableAction, inputs: JsonObject = {}, more: Partial<ActionCall> = {}): Promise<Counted> {
    return outputOf(await this.call(action, inputs, more)) as Counted;
  }
}

export function kept(action: CallableAction, keepWarm: number): CallableAction {
  if (action.plugin !== null) action.plugin.manifest.keepWarm = keepWarm;
  return action;
}

export const isGone = (pid: number): Promise<true> => until(() => (existsSync(`/proc/${pid}`) ? null : true));
