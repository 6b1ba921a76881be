// What an attempt may do: what its action asks for, narrowed by the workflow, the task and the server, each entry explained. Pure.
import type { Permissions } from "../workflow.ts";

export type PermissionKind = "network" | "filesystem.read" | "filesystem.write" | "env" | "run" | "listen" | "limit";

/** Everything decided; lists hold entries as they were written (places such as $workspace are resolved later). Limits of one attempt. */
export type EffectivePermissions = {
  network: string[];
  filesystem: { read: string[]; write: string[] };
  env: string[];
  run: boolean;
  listen: number[];
  memoryMb: number;
  /** Null: no limit of its own. */
  cpuSeconds: number | null;
  processes: number;
  openFiles: number;
  diskMb: number;
  outputBytes: number;
};

/** Who may narrow; `run` stands for --allow-* of one run, which widens the workflow's block. */
export type PermissionSources = {
  /** What the plugin's action asks for; "everything" for `run:` tasks. */
  asks: Permissions | "everything";
  workflow: Permissions;
  task?: Permissions;
  server?: Permissions;
  /** Granted for this run beside the workflow's block; `all` grants whatever is asked. */
  allow?: RunGrants | null;
  /** The workflow's folder, absolute: with it relative and absolute entries compare. */
  folder?: string | null;
};
export type RunGrants = { network: string[]; filesystem: { read: string[]; write: string[] }; env: string[]; all: boolean };

/** One asked entry and what became of it. `by` is who granted it, or who did not. `grant` is the YAML line that would allow it. */
export type PermissionFinding = {
  kind: PermissionKind;
  entry: string;
  allowed: boolean;
  by: "plugin" | "workflow" | "task" | "server" | "run";
  grant: string | null;
};

/** A denied operation, as in `trace.permission.denied`, the log line's metadata and the error's details. */
export type Denial = {
  kind: "network" | "filesystem" | "env" | "run" | "syscall";
  /** `host:port`, the real path, the variable, the program, or the system call. */
  target: string;
  /** Which rule denied: "network", "filesystem.read", "filesystem.write", "env", "run", "syscall", "listen". */
  rule: string;
  /** The YAML line to add to `permissions:`, null where no grant would help. */
  grant: string | null;
};
