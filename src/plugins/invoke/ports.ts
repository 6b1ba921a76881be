// One call of one action outside the engine: what it is given, and what comes of it.
import type { ErrorBody, Json, JsonObject } from "../../base/index.ts";
import type { CallableAction, Denial, EffectivePermissions } from "../../model/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { LogLevel, LogSource } from "../../storage/index.ts";
import type { NetworkGate } from "../network/index.ts";
import type { ContainerRunner } from "../runtimes/docker/index.ts";
import type { Cgroups, ProcessExit, ProcessHandle, spawnProcess, Watchdog } from "../runtimes/index.ts";
import type { Notice } from "../sandbox/index.ts";
import type { EnginePlaces, GrantedEntries } from "./confine.ts";
import type { WarmPool } from "./warm-pool.ts";
import type { AttemptFolders } from "./workspace.ts";

export type Line = { source: LogSource; level: LogLevel; message: string; metadata: Json | null };

export type ActionCall = {
  executionId: string;
  workflow: string;
  task: string;
  itemIndex: number | null;
  attempt: number;
  action: CallableAction;
  inputs: JsonObject;
  /** Granted variables of the server, then the task's own `env:` (of `run:` tasks). */
  env: Record<string, string>;
  /** A task's `workdir:` below the workspace, for `run:` tasks. */
  workdir: string | null;
  /** $WORKFLOW_DIR */
  folder: string | null;
  deadlineAt: number | null;
  permissions: EffectivePermissions;
  runtime: "process" | "docker";
  image: string | null;
  folders: AttemptFolders;
  /** Filesystem entries of the workflow and the run, before action and task narrowed them: links must not lead out of them. */
  granted: GrantedEntries;
  /** `off`: only the process tree is kept. `observe`: --learn. */
  sandbox: "enforce" | "off" | "observe";
  graceMs: number;
  /** Secrets of the execution; it may learn more while the call runs. All that leaves the call is masked, but its output. */
  masker: Masker;
  /** A promise asks the producer to wait for it. */
  onLine: (line: Line) => Promise<void> | void;
  onDenial: (denial: Denial) => void;
  /** Everything seen in `observe` mode, network decisions included (call "proxy", target host:port). */
  onNotice: (notice: Notice) => void;
};

/** A file that the task leaves behind, in the work folder: to be stored before the folder goes. */
export type LeftFile = { name: string; path: string; size: number };

/** The output holds true values. */
export type ActionOutcome = { ok: true; output: Json; files: LeftFile[] } | { ok: false; error: ErrorBody; retryable: boolean };
export type ActionRun = {
  /** Resolves when the whole tree is gone and pipes are read; never rejects. */
  done: Promise<ActionOutcome>;
  terminate(): void;
  kill(): void;
};

/** A stored artifact by its SHA-256: as a file, or its bytes; null when there is none. */
export type ArtifactSource = (sha256: string) => Promise<{ path: string } | { bytes: Uint8Array } | null>;

/** What is wrong with a value; the language has the one checker of schemas. `keys` lead to the part that does not fit. */
export type CheckSchema = (schema: JsonObject, value: Json) => { keys: (string | number)[]; message: string }[];

/** A task that runs: a process tree or a container. */
export type TaskHandle = Pick<ProcessHandle, "stdout" | "stderr" | "result" | "terminate" | "kill"> & {
  /** Of a process tree: its supervisor. */
  pid?: number;
  exited: Promise<ProcessExit & { oomKilled?: boolean }>;
};

export type InvokeDeps = {
  spawn: typeof spawnProcess;
  gate: NetworkGate;
  watchdog: Watchdog;
  runtimeFolder: { path(): Promise<string> };
  /** What no grant opens. */
  engine: EnginePlaces;
  artifacts: ArtifactSource;
  checkSchema: CheckSchema;
  /** Left out: only the watchdog bounds a whole tree. */
  cgroups?: Pick<Cgroups, "open">;
  /** Left out: plugins with `keepWarm` start cold like all others. */
  warm?: WarmPool;
  /** Null: tasks with `runtime: docker` are refused. */
  containers: ContainerRunner | null;
};
