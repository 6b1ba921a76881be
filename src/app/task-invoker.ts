// Wires the engine's port for attempts to the plugins layer: what an attempt may do before it starts, its folders and files around it.
import { extname } from "node:path";
import { type ErrorBody, fail, limits, parseDuration, toErrorBody } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { StoredArtifact, TaskAsk, TaskCall, TaskInvocation, TaskInvoker, TaskOutcome, TaskPrepared } from "../engine/index.ts";
import type { CallableAction } from "../model/index.ts";
import { containerAction } from "../plugins/index.ts";
import type {
  ActionCall,
  ActionRun,
  ContainerRunner,
  LeftFile,
  Notice,
  PluginApproval,
  PluginRegistry,
  UserChoice,
  WatchedAttempt,
  Workspaces,
} from "../plugins/index.ts";
import type { Store } from "../storage/index.ts";
import { withDefaults } from "../workflow/index.ts";
import { prepareTask, refuseTask, type Ticket } from "./preparation.ts";
import { reportSandbox, type SandboxMode, sandboxState } from "./sandbox-report.ts";
import { approvedPermissions } from "./verbs/index.ts";

export type InvokerDeps = {
  loaded: LoadedConfig;
  store: Store;
  registry: PluginRegistry;
  workspaces: Workspaces;
  containers: ContainerRunner;
  /** Names of all actions of the execution's workflow. */
  actionsOf: (executionId: string) => Promise<string[]>;
  /** Whether attempts can be put into control groups; looked up at the first question. */
  hasGroups?: () => boolean;
  /** Calls an action outside the engine; everything it needs is made at its first call. */
  run: (call: ActionCall) => ActionRun;
};

/** Told of each attempt; what it gives back takes what the attempt is seen doing. */
export type Observer = (attempt: WatchedAttempt) => (notice: Notice) => void;

/** What was looked up for a task before it can start; null while that is under way. */
type LookUp = { found: Found | null };
/** `image`: what the reference stood for, so that it is the one that runs. */
type Found = { approval: PluginApproval | null; image: string | null; imageDigest: string | null; problem: ErrorBody | null };
type Asked = { action: CallableAction; runtime: "process" | "docker"; image: string | null };

const nothingFound: Found = { approval: null, image: null, imageDigest: null, problem: null };

export class AppInvoker implements TaskInvoker {
  readonly #deps: InvokerDeps;
  readonly #graceMs: number;
  readonly #mode: SandboxMode;
  /** By execution, then by task. */
  readonly #lookUps = new Map<string, Map<string, LookUp>>();
  readonly #observers = new Map<string, Observer>();

  constructor(deps: InvokerDeps) {
    this.#deps = deps;
    this.#mode = deps.loaded.config.plugins.sandbox;
    this.#graceMs = parseDuration(deps.loaded.config.execution.killGrace) ?? 5000;
  }

  /** From now on nothing is enforced on the execution's tasks, and all that they do is told (--learn). */
  observe(executionId: string, observer: Observer): void {
    this.#observers.set(executionId, observer);
  }

  prepare(ask: TaskAsk, wake: () => void): TaskPrepared | null {
    const { registry, loaded } = this.#deps;
    const action = registry.find(ask.action);
    if (action === null) return refuseTask(ask, notThere(ask.action));
    const runtime = runtimeOf(ask, action, loaded);
    const image = imageOf(ask, action, loaded);
    const found = action.plugin === null && runtime === "process" ? nothingFound : this.#lookUp(ask, { action, runtime, image }, wake);
    if (found === null) return null;
    const isObserved = this.#observers.has(ask.executionId);
    const ceiling = loaded.config.plugins.permissions;
    const { hasGroups = () => false } = this.#deps;
    const sandbox = reportSandbox(this.#mode);
    return prepareTask(ask, { ...found, image: found.image ?? image, action, runtime, sandbox, isObserved, ceiling, hasGroups });
  }

  /** Null until it is there; it is then told once, since it may be otherwise at the next attempt. */
  #lookUp(ask: TaskAsk, what: Asked, wake: () => void): Found | null {
    const { executionId } = ask;
    const task = `${ask.task}[${ask.itemIndex ?? ""}]`;
    const ofExecution = this.#lookUps.get(executionId) ?? new Map<string, LookUp>();
    const known = ofExecution.get(task);
    if (known !== undefined) {
      if (known.found !== null) ofExecution.delete(task);
      return known.found;
    }
    const lookUp: LookUp = { found: null };
    this.#lookUps.set(executionId, ofExecution.set(task, lookUp));
    void this.#find(ask, what)
      .catch((cause: unknown): Found => ({ ...nothingFound, problem: toErrorBody(cause) }))
      .then((found) => {
        lookUp.found = found;
        wake();
      });
    return null;
  }

  async #find(ask: TaskAsk, what: Asked): Promise<Found> {
    const approval = await this.#findApproval(ask, what.action);
    if (what.runtime === "process") return { ...nothingFound, approval };
    const problem = containerProblem(what);
    if (problem !== null || what.image === null) return { ...nothingFound, approval, problem };
    const { id, digest } = await this.#deps.containers.resolveImage(what.image, pullOf(ask));
    return { ...nothingFound, approval, image: id, imageDigest: digest };
  }

  async #findApproval({ workflow }: TaskAsk, action: CallableAction): Promise<PluginApproval | null> {
    const { store } = this.#deps;
    if (action.plugin === null) return null;
    const { namespace, name } = action.plugin.manifest;
    const row = await store.findPluginApproval(workflow, `${namespace}/${name}`);
    return row === null ? null : { permissions: await approvedPermissions({ store }, row) };
  }

  invoke(call: TaskCall): TaskInvocation {
    const stop: { how: "terminate" | "kill" | null; run: ActionRun | null } = { how: null, run: null };
    const ask = (how: "terminate" | "kill"): void => {
      stop.how = how;
      stop.run?.[how]();
    };
    const done = this.#invoke(call, (run) => {
      stop.run = run;
      if (stop.how !== null) run[stop.how]();
    }).catch((cause: unknown): TaskOutcome => ({ ok: false, error: toErrorBody(cause), retryable: false }));
    return { done, terminate: () => ask("terminate"), kill: () => ask("kill") };
  }

  async #invoke(call: TaskCall, onRun: (run: ActionRun) => void): Promise<TaskOutcome> {
    const { workspaces, run } = this.#deps;
    const ticket = call.prepared.ticket as Ticket;
    const observer = this.#observers.get(call.executionId);
    const sandbox = observer === undefined ? this.#mode : "observe";
    const folders = workspaces.open(call.executionId, call, await this.#userChoice(call, ticket, sandbox));
    try {
      const started = run({
        ...call,
        ...ticket,
        inputs: ticket.action.plugin === null ? call.inputs : withDefaults(ticket.action.input, call.inputs),
        folders,
        sandbox,
        graceMs: this.#graceMs,
        onNotice: observer?.({ ...call, ...ticket, folders }) ?? (() => undefined),
      });
      onRun(started);
      const outcome = await started.done;
      if (!outcome.ok) return outcome;
      return { ok: true, output: outcome.output, artifacts: await this.#keepFiles(outcome.files) };
    } finally {
      workspaces.closeAttempt(folders);
    }
  }

  /** What all tasks of the execution may need decides about its user, since they share a workspace. */
  async #userChoice(call: TaskCall, { granted }: Ticket, sandbox: ActionCall["sandbox"]): Promise<UserChoice> {
    const { registry, actionsOf } = this.#deps;
    const { folder } = call;
    if (sandbox !== "enforce" || !sandboxState().canOwnUser) return { canOwnUser: false, granted, folder, plugins: [] };
    const others = (await actionsOf(call.executionId)).filter((action) => !action.startsWith("core/"));
    const plugins = new Set(others.flatMap((action) => registry.find(action)?.plugin?.folder ?? []));
    return { canOwnUser: true, granted, folder, plugins: [...plugins] };
  }

  /** The files that a successful attempt left behind, before its folder goes. */
  async #keepFiles(files: readonly LeftFile[]): Promise<StoredArtifact[]> {
    const kept: StoredArtifact[] = [];
    for (const { name, path } of files) {
      const imported = await this.#deps.store.importBlob({ path, bytesMax: limits.artifactBytesMax });
      kept.push({ name, ...imported, contentType: contentTypeOf(name) });
    }
    return kept;
  }

  async dispose(executionId: string): Promise<void> {
    this.#lookUps.delete(executionId);
    this.#observers.delete(executionId);
    this.#deps.workspaces.close(executionId);
  }
}

function notThere(action: string) {
  if (action.startsWith("core/")) return toErrorBody(fail("NOT_AVAILABLE_YET", `Cannot run action "${action}": this version cannot run it yet`));
  const hint = "`workflow plugin list` shows what is installed.";
  return toErrorBody(fail("PLUGIN_NOT_FOUND", `Cannot run action "${action}": its plugin is not installed, or has errors`, { hint }));
}

const scriptAction = "core/shell.run";

/** A plugin that is an image and the container action have no choice, and the task's word comes before the configuration's. That
 * one is about scripts and programs: TypeScript and the built-in actions are run by this binary. */
function runtimeOf(ask: TaskAsk, { plugin, action }: CallableAction, loaded: LoadedConfig): "process" | "docker" {
  if (action === containerAction || plugin?.manifest.runtime === "docker" || ask.runtime === "docker") return "docker";
  const isProgram = action === scriptAction || plugin?.manifest.runtime === "exec";
  return isProgram ? loaded.config.plugins.runtime : "process";
}

function imageOf({ image, inputs }: TaskAsk, { plugin, action }: CallableAction, loaded: LoadedConfig): string | null {
  if (plugin?.manifest.runtime === "docker") return plugin.manifest.entrypoint[0] ?? null;
  if (action === containerAction) return typeof inputs["image"] === "string" ? inputs["image"] : null;
  return image ?? loaded.config.plugins.docker.image ?? null;
}

/** Null: as configured. */
function pullOf({ action, inputs }: TaskAsk): "never" | "missing" | "always" | null {
  const { pull } = action === containerAction ? inputs : {};
  return pull === "never" || pull === "missing" || pull === "always" ? pull : null;
}

/** Why an action cannot run in a container, before an engine is asked. */
function containerProblem({ action: { action, plugin }, image }: Asked): ErrorBody | null {
  const refuse = (why: string, hint: string) => toErrorBody(fail("TASK_INPUT_INVALID", `Cannot run "${action}" in a container: ${why}`, { hint }));
  const isInImage = plugin !== null || action === scriptAction || action === containerAction;
  if (!isInImage) return refuse("built-in actions are in no image", "Leave `runtime: docker` out: they run as processes.");
  if (image === null) return refuse("there is no image", "Name one with `image:`, or for all tasks with plugins.docker.image.");
  return null;
}

/** By the name's ending; what it really is nobody looks at. */
function contentTypeOf(name: string): string {
  return extname(name) === "" ? "application/octet-stream" : Bun.file(name).type;
}
