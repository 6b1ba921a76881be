// What the tests of invocations share: one call of one action with everything real, and what came of it.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Json, JsonObject } from "../../src/base/index.ts";
import type { CallableAction, Denial, EffectivePermissions, InstalledPlugin, PluginRuntime } from "../../src/model/index.ts";
import { invokeAction, Workspaces } from "../../src/plugins/invoke/index.ts";
import type { ActionCall, ActionOutcome, ActionRun, InvokeDeps, LeftFile, Line } from "../../src/plugins/invoke/index.ts";
import { createNetworkGate } from "../../src/plugins/network/index.ts";
import { Masker } from "../../src/secrets/index.ts";
import { RuntimeFolder } from "../../src/plugins/runtime-folder/index.ts";
import { createWatchdog, spawnProcess } from "../../src/plugins/runtimes/index.ts";
import type { Notice } from "../../src/plugins/sandbox/index.ts";
import { checkSchema } from "../../src/workflow/index.ts";

export const anything: JsonObject = { type: "object" };
const root = join(import.meta.dir, "../..");

/** Packs the SDK and the built-in actions when a source of theirs is newer. */
export function ensureRuntime(): void {
  const pack = join(root, "dist/runtime.pack");
  const sources = ["src/sdk", "src/actions"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  );
  if (existsSync(pack) && statSync(pack).mtimeMs >= Math.max(...sources)) return;
  const built = Bun.spawnSync([process.execPath, "build.ts", "--runtime"], { cwd: root, stdout: "pipe", stderr: "pipe" });
  if (built.exitCode !== 0) throw new Error(`build failed: ${built.stderr.toString()}`);
}

export const nothingGranted: EffectivePermissions = {
  network: [],
  filesystem: { read: [], write: [] },
  env: [],
  run: false,
  listen: [],
  memoryMb: 512,
  cpuSeconds: null,
  processes: 64,
  openFiles: 256,
  diskMb: 1024,
  outputBytes: 64 * 1024 * 1024,
};

export const script: CallableAction = {
  action: "core/shell.run",
  plugin: null,
  input: anything,
  output: anything,
  idempotent: false,
  timeoutMs: null,
  asks: () => "everything",
};

export type Done = { outcome: ActionOutcome; lines: Line[]; denials: Denial[]; notices: Notice[] };
type More = Partial<ActionCall>;

/** A data folder with all that an invocation needs; `close` removes it. */
export class InvokeWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "autokestra-invoke-"));
  readonly workspaces = new Workspaces(join(this.folder, "data", "work"));
  readonly gate = createNetworkGate({
    onTrouble: (text) => console.error(text),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  });
  readonly watchdog = createWatchdog({ clock: { now: () => Date.now() } });
  readonly artifacts = new Map<string, string>();
  readonly deps: InvokeDeps;
  #count = 0;

  constructor() {
    ensureRuntime();
    mkdirSync(join(this.folder, "data"), { mode: 0o700 });
    this.deps = {
      spawn: spawnProcess,
      gate: this.gate,
      watchdog: this.watchdog,
      runtimeFolder: new RuntimeFolder(join(this.folder, "data")),
      engine: { data: join(this.folder, "data"), store: join(this.folder, "data", "autokestra.db") },
      artifacts: async (sha256) => {
        const text = this.artifacts.get(sha256);
        return text === undefined ? null : { bytes: Buffer.from(text) };
      },
      checkSchema,
      containers: null,
    };
  }

  close(): void {
    this.gate.close();
    this.watchdog.close();
    // The runtime folder is read-only, also for its owner.
    Bun.spawnSync(["chmod", "-R", "u+w", this.folder], { stderr: "ignore" });
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Writes files below the world's folder and gives the folder they are in. */
  write(folder: string, files: Record<string, string>): string {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.folder, folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode: name.endsWith(".sh") || name.endsWith(".py") ? 0o755 : 0o644 });
    }
    return join(this.folder, folder);
  }

  /** A plugin with one action, `run`, written to the disk. */
  plugin(
    files: Record<string, string>,
    how: { runtime?: PluginRuntime; entrypoint?: string[]; input?: JsonObject; output?: JsonObject } = {},
  ): CallableAction {
    this.#count += 1;
    const folder = this.write(`plugins/acme/p${this.#count}`, files);
    const { runtime = "bun", entrypoint = ["main.ts"], input = anything, output = anything } = how;
    const action = { name: "run", description: "", input, output, idempotent: false, timeoutMs: null };
    const manifest: InstalledPlugin["manifest"] = {
      namespace: "acme",
      name: `p${this.#count}`,
      version: "1.0.0",
      description: "",
      author: null,
      license: null,
      homepage: null,
      runtime,
      entrypoint,
      engines: null,
      permissions: {},
      keepWarm: 0,
      actions: [action],
    };
    const plugin = { manifest, folder, sha256: "0".repeat(64) };
    return { action: `acme/p${this.#count}.run`, plugin, input, output, idempotent: false, timeoutMs: null, asks: () => ({}) };
  }

  /** Starts a call; its folders stay until `finish` was awaited. */
  start(
    action: CallableAction,
    inputs: JsonObject,
    more: More = {},
  ): { run: ActionRun; call: ActionCall; finish(look?: (files: LeftFile[]) => void): Promise<Done> } {
    const lines: Line[] = [];
    const denials: Denial[] = [];
    const notices: Notice[] = [];
    const executionId = more.executionId ?? crypto.randomUUID();
    const folders = more.folders ?? this.workspaces.open(executionId, { task: "t", itemIndex: null, attempt: more.attempt ?? 1 });
    const call: ActionCall = {
      executionId,
      workflow: "flow",
      task: "t",
      itemIndex: null,
      attempt: 1,
      action,
      inputs,
      env: {},
      workdir: null,
      folder: null,
      deadlineAt: null,
      permissions: nothingGranted,
      runtime: "process",
      image: null,
      folders,
      granted: { read: more.permissions?.filesystem.read ?? [], write: more.permissions?.filesystem.write ?? [] },
      sandbox: "enforce",
      graceMs: 1000,
      masker: new Masker(),
      onLine: (line) => void lines.push(line),
      onDenial: (denial) => void denials.push(denial),
      onNotice: (notice) => void notices.push(notice),
      ...more,
    };
    const run = invokeAction(this.deps, call);
    const finish = async (look?: (files: LeftFile[]) => void): Promise<Done> => {
      const outcome = await run.done;
      if (outcome.ok) look?.(outcome.files);
      this.workspaces.closeAttempt(folders);
      return { outcome, lines, denials, notices };
    };
    return { run, call, finish };
  }

  call(action: CallableAction, inputs: JsonObject = {}, more: More = {}): Promise<Done> {
    return this.start(action, inputs, more).finish();
  }

  sh(text: string, more: More = {}, shell = "sh"): Promise<Done> {
    return this.call(script, { script: text, shell }, more);
  }
}

export function outputOf({ outcome, lines }: Done): Json {
  if (!outcome.ok) throw new Error(`failed: ${JSON.stringify(outcome.error)} ${JSON.stringify(lines)}`);
  return outcome.output;
}

export function errorOf({ outcome }: Done): { code: string; message: string; details?: Record<string, unknown>; hint?: string; retryable: boolean } {
  if (outcome.ok) throw new Error(`succeeded: ${JSON.stringify(outcome.output)}`);
  return { ...outcome.error, retryable: outcome.retryable };
}

export function granting(more: Partial<EffectivePermissions>): Pick<ActionCall, "permissions"> {
  return { permissions: { ...nothingGranted, ...more } };
}
