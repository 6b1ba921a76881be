// What a call of a TypeScript plugin costs in the strict sandbox: as a process of its own, and by a worker that is kept warm.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type JsonObject, limits } from "../../src/base/index.ts";
import type { CallableAction, EffectivePermissions, InstalledPlugin } from "../../src/model/index.ts";
import { type ActionCall, createNetworkGate, createWatchdog, invokeAction, type InvokeDeps, RuntimeFolder } from "../../src/plugins/index.ts";
import { spawnProcess, WarmPool, Workspaces } from "../../src/plugins/index.ts";
import { Masker } from "../../src/secrets/index.ts";
import { type BenchContext, inParallel, timed } from "../harness/bench.ts";
import { atMost } from "../harness/row.ts";

const calls = 10_000;
const coldCalls = 100;
/** The specification's own figure, in milliseconds. */
const msMax = 0.2;
const main = `import { definePlugin } from "autokestra/sdk";
export default definePlugin({ actions: { echo: async (input: { n: number }) => ({ n: input.n }) } });
`;

export async function measureWarm(context: BenchContext): Promise<void> {
  const folder = context.folder();
  const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));
  const gate = createNetworkGate({ onTrouble: () => undefined, randomBytes });
  const watchdog = createWatchdog({ clock: { now: () => Date.now() } });
  const root = join(folder, "work");
  const warm = new WarmPool({
    spawn: spawnProcess,
    gate,
    watchdog,
    root,
    owner: "bench",
    isDead: () => false,
    clock: { now: Date.now },
    randomBytes,
  });
  const runtimeFolder = new RuntimeFolder(folder);
  const engine = { data: folder, store: join(folder, "store.db") };
  const cold: InvokeDeps = {
    engine,
    spawn: spawnProcess,
    gate,
    watchdog,
    runtimeFolder,
    artifacts: async () => null,
    checkSchema: () => [],
    containers: null,
  };
  const workspaces = new Workspaces(root);
  const action = writePlugin(join(folder, "plugin"));
  const each = async (deps: InvokeDeps, count: number): Promise<number> => {
    const executionId = crypto.randomUUID();
    const folders = workspaces.open(executionId, { task: "t", itemIndex: null, attempt: 1 });
    const ms = await timed(() => inParallel(count, 1, (n) => callOnce(deps, { ...callOf(action), executionId, folders, inputs: { n } })));
    workspaces.close(executionId);
    return ms / count;
  };
  await context.compare({
    work: `${calls} calls of a warm TypeScript plugin, strict sandbox: each`,
    unit: "ms",
    floorName: "as specified",
    goal: atMost(1),
    ours: () => each({ ...cold, warm }, calls),
    floor: () => msMax,
  });
  await context.compare({
    work: "the same plugin, warm: each",
    unit: "ms",
    floorName: "cold",
    goal: null,
    ours: () => each({ ...cold, warm }, coldCalls),
    floor: () => each(cold, coldCalls),
  });
  await warm.close();
  gate.close();
  watchdog.close();
  context.remove(folder);
}

async function callOnce(deps: InvokeDeps, call: ActionCall): Promise<void> {
  const outcome = await invokeAction(deps, call).done;
  if (!outcome.ok) throw new Error(`The call failed: ${outcome.error.message}`);
  if ((outcome.output as JsonObject)["n"] !== call.inputs["n"]) throw new Error("The call was given another one's result");
}

function writePlugin(folder: string): CallableAction {
  mkdirSync(folder);
  writeFileSync(join(folder, "main.ts"), main);
  const schemas = { input: {}, output: {}, idempotent: false, timeoutMs: null };
  const manifest: InstalledPlugin["manifest"] = {
    namespace: "bench",
    name: "echo",
    version: "1.0.0",
    description: "",
    author: null,
    license: null,
    homepage: null,
    runtime: "bun",
    entrypoint: ["main.ts"],
    engines: null,
    permissions: {},
    keepWarm: 1,
    actions: [{ name: "echo", description: "", ...schemas }],
  };
  return { action: "bench/echo.echo", plugin: { manifest, folder, sha256: "0".repeat(64) }, ...schemas, asks: () => ({}) };
}

function callOf(action: CallableAction): Omit<ActionCall, "executionId" | "folders" | "inputs"> {
  const nothing = { network: [], filesystem: { read: [], write: [] }, env: [], run: false, listen: [] };
  const permissions: EffectivePermissions = { ...nothing, ...limits.attempt.defaults };
  return {
    workflow: "bench",
    task: "t",
    itemIndex: null,
    attempt: 1,
    action,
    env: {},
    workdir: null,
    folder: null,
    deadlineAt: null,
    permissions,
    runtime: "process",
    image: null,
    granted: { read: [], write: [] },
    sandbox: "enforce",
    graceMs: 1000,
    masker: new Masker(),
    onLine: () => undefined,
    onDenial: () => undefined,
    onNotice: () => undefined,
  };
}
