// Runs one attempt of an action out of process: inputs checked, folders filled, permissions made a confinement, output and denials
// as they come, one outcome at the end. It decides nothing about retries, and leaves the timeout to the engine.
import { type ErrorBody, fail, isObject, type Json, type JsonObject, limits, toErrorBody } from "../../base/index.ts";
import type { TaskPlaces } from "../../model/index.ts";
import type { NetworkPass } from "../network/index.ts";
import type { Cgroup, Over, ProcessExit, Watch } from "../runtimes/index.ts";
import type { Confinement, Notice } from "../sandbox/index.ts";
import { commandOf, isScript, requestOf, type TaskCommand } from "./command.ts";
import { kindOfMissing } from "./built-in-paths.ts";
import { confine, missing, refuseContaining, type ResolvedPaths, resolvePaths, type ResolveRequest } from "./confine.ts";
import { containerHint, containerSpec, makeSocketFolder, type SocketFolder, tellUnmounted } from "./container.ts";
import { containerDenials, mountDenial } from "./container-denials.ts";
import { Denials } from "./denials.ts";
import { type DiskShare, openDiskShare } from "./disk-account.ts";
import { baseEnvironment, checkSizes } from "./environment.ts";
import { harvest, placeInputFiles } from "./files.ts";
import { GrantedPaths } from "./granted-paths.ts";
import { isContainerRun } from "./image-command.ts";
import { maskedLines, maskOutcome } from "./masking.ts";
import { deniedFailure, type End, findFailure, findFrame, linesOf, outputOf, resultError } from "./judge.ts";
import type { ActionCall, ActionOutcome, ActionRun, InvokeDeps, TaskHandle } from "./ports.ts";
import { readBack } from "./read-back.ts";
import { realPath } from "./real-path.ts";
import { type Recognised, recogniseDenials } from "./recognise.ts";
import { parseOutputFile, type ResultFrame } from "./script-output.ts";
import { TaskOutput } from "./task-output.ts";
import { isInWorkdir, isWarmable, warmSpec } from "./warm-fit.ts";
import type { WarmPool } from "./warm-pool.ts";
import type { WarmEnd, WarmWorker } from "./warm-worker.ts";
import { bytesPerMb, openGroup, treeLimits } from "./tree-limits.ts";

/** Starts one attempt. Never throws: what cannot be started is an outcome. */
export function invokeAction(deps: InvokeDeps, call: ActionCall): ActionRun {
  const attempt = new Attempt(deps, call);
  return {
    done: attempt.run().then((outcome) => maskOutcome(outcome, call.masker)),
    terminate: () => attempt.stop("terminate"),
    kill: () => attempt.stop("kill"),
  };
}

type Prepared = {
  command: TaskCommand;
  env: Record<string, string>;
  paths: ResolvedPaths;
  confinement: Confinement | null;
  hasWorkspace: boolean;
};
const noPaths: ResolvedPaths = { read: [], write: [], left: [], hidden: [], passed: [] };

type Stop = "terminate" | "kill";

class Attempt {
  readonly #deps: InvokeDeps;
  /** Its `onLine` masks; lines of the task's streams are masked already. */
  readonly #call: ActionCall;
  readonly #onTaskLine: ActionCall["onLine"];
  /** Looked up on the disk when it is asked for first: most calls of a warm worker never do. */
  readonly #places: () => TaskPlaces;
  readonly #denials: Denials;
  #handle: Pick<TaskHandle, "terminate" | "kill"> | null = null;
  #stop: Stop | null = null;
  #exceeded: Over | null = null;
  #pass: NetworkPass | null = null;
  #sockets: SocketFolder | null = null;
  #share: DiskShare | null = null;
  readonly #made: GrantedPaths;
  /** What the task may read, once that is known. */
  #readable: readonly string[] = [];

  constructor(deps: InvokeDeps, given: ActionCall) {
    const call = { ...given, onLine: maskedLines(given) };
    this.#deps = deps;
    this.#call = call;
    this.#onTaskLine = given.onLine;
    let known: TaskPlaces | null = null;
    const places = (): TaskPlaces => (known ??= placesOf(call));
    this.#places = places;
    this.#made = new GrantedPaths(call.folders.user);
    let never: readonly string[] | null = null;
    const files = () => ({ readable: this.#readable, never: (never ??= real([deps.engine.data])) });
    this.#denials = new Denials({ places, network: call.permissions.network, files, masker: call.masker, tell: call.onDenial });
  }

  async run(): Promise<ActionOutcome> {
    try {
      checkValue(this.#deps, { schema: this.#call.action.input, value: this.#call.inputs, code: "TASK_INPUT_INVALID", what: "inputs" });
      const warm = this.#deps.warm === undefined || !isWarmable(this.#call) ? null : await this.#callWarm(this.#deps.warm);
      if (warm !== null) return warm;
      const prepared = await this.#prepare();
      if (this.#stop !== null) throw fail("TASK_CANCELLED", "Stopped before it began");
      return await this.#execute(prepared);
    } catch (cause) {
      return this.#notRun(toErrorBody(cause));
    } finally {
      this.#pass?.close();
      this.#sockets?.remove();
      this.#share?.close();
      this.#made.close();
    }
  }

  /** An engine that is gone may come back; a mount that was refused is a denial like any other. */
  #notRun(error: ErrorBody): ActionOutcome {
    const denied = mountDenial(error);
    if (denied !== null) this.#denials.add(denied, null);
    return { ok: false, error, retryable: error.kind === "unavailable" && this.#stop === null };
  }

  stop(how: Stop): void {
    this.#stop = how;
    this.#handle?.[how]();
  }

  async #prepare(): Promise<Prepared> {
    const call = this.#call;
    await placeInputFiles(call.inputs, call.folders, this.#deps.artifacts);
    const command = await commandOf(call, this.#deps.runtimeFolder);
    const hasWorkspace = isScript(call) || usesWorkspace(call);
    const paths = this.#resolvePaths(command, hasWorkspace);
    if (hasWorkspace && (call.sandbox === "enforce" || call.runtime === "docker"))
      this.#share = await openDiskShare(call.folders.workspace, call.permissions.diskMb * bytesPerMb);
    const pass = this.#openNetwork();
    const base = baseEnvironment(call, { hasWorkspace, isBun: isBun(command) });
    const env = { ...base, ...pass?.env, ...call.env, ...command.env, ...this.#tellMade() };
    checkSizes(command.argv, env);
    const confinement = this.#confine(command, paths, pass);
    this.#readable = [...(confinement?.read ?? []), ...(confinement?.write ?? [])];
    return { command, env, paths, hasWorkspace, confinement };
  }

  /** Built-in actions refuse to replace what is there, unless it was made for them. */
  #tellMade(): Record<string, string> {
    const { paths } = this.#made;
    return isBuiltIn(this.#call) && paths.length > 0 ? { WORKFLOW_MADE: JSON.stringify(paths) } : {};
  }

  /** By a worker that serves many calls. Null when none is free: the call then starts cold. */
  async #callWarm(pool: WarmPool): Promise<ActionOutcome | null> {
    const call = this.#call;
    const command = await commandOf(call, this.#deps.runtimeFolder);
    const { read, write } = call.permissions.filesystem;
    const isOutside = (entry: string): boolean => !isInWorkdir(entry);
    const filesystem = { read: read.filter(isOutside), write: write.filter(isOutside) };
    const places = (): TaskPlaces => ({ ...this.#places(), workspace: null, plugin: command.plugin });
    const isNone = filesystem.read.length + filesystem.write.length === 0;
    const resolve = (): ResolvedPaths => this.#resolve({ filesystem, places: places(), make: null });
    const paths = isNone ? noPaths : resolve();
    // What is missing may be made for one call, not for a worker that outlives it.
    if (paths.left.some(({ entry, why }) => why === missing && filesystem.write.includes(entry))) return null;
    const base = baseEnvironment(call, { hasWorkspace: false, isBun: isBun(command) });
    const spec = warmSpec(call, { command, paths, resolve: isNone ? resolve : () => paths, base });
    checkSizes(command.argv, { ...spec.env.base, ...spec.env.given });
    const worker = await pool.lease(spec);
    if (worker === null) return null;
    if (!worker.isUsable) {
      pool.release(worker); // it ended in this moment
      return null;
    }
    this.#tellLeft(paths);
    this.#readable = [...(worker.confinement?.read ?? []), ...(worker.confinement?.write ?? [])];
    this.#handle = worker;
    const output = new TaskOutput(this.#onTaskLine, { outputBytes: call.permissions.outputBytes, masker: call.masker });
    const ended = await this.#runTurn(worker, output).finally(() => pool.release(worker));
    if (ended.error !== null) return { ok: false, error: ended.error, retryable: false };
    const { confinement } = worker;
    const end = this.#endOf(ended, output, confinement);
    return this.#judge(end, { paths, command, confinement }) ?? (await this.#succeed(ended.frame, output, ended.isLeft));
  }

  async #runTurn(worker: WarmWorker, output: TaskOutput): Promise<WarmEnd> {
    const call = this.#call;
    await call.masker.ready();
    if (this.#stop !== null) throw fail("TASK_CANCELLED", "Stopped before it began");
    return worker.run({
      request: (workdir) => requestOf({ ...call, folders: { ...call.folders, workdir } }),
      output,
      masker: call.masker,
      workdir: call.folders.workdir,
      onNotice: (notice) => this.#denials.fromNotice(notice),
      onDecision: (decision) => this.#denials.fromDecision(decision),
    });
  }

  #resolvePaths(command: TaskCommand, hasWorkspace: boolean): ResolvedPaths {
    const { folders, permissions, sandbox } = this.#call;
    const places = { ...this.#places(), workspace: hasWorkspace ? folders.workspace : null, plugin: command.plugin };
    // Who only looks on changes nothing.
    const make = sandbox === "observe" ? null : { paths: this.#made, kindOf: kindOfMissing(this.#call, places) };
    const paths = this.#resolve({ filesystem: permissions.filesystem, places, make });
    this.#tellLeft(paths);
    return paths;
  }

  #resolve(request: Pick<ResolveRequest, "filesystem" | "places" | "make">): ResolvedPaths {
    const { granted, inputs } = this.#call;
    const hasFiles = inputs["files"] !== undefined;
    // A built-in asked for it itself, and finds it missing. Most tasks that may read $input are given nothing.
    const isTold = (entry: string): boolean => !isBuiltIn(this.#call) && (hasFiles || !/^\$input(?:\/|$)/.test(entry));
    return resolvePaths({ ...request, granted, engine: this.#deps.engine, isTold });
  }

  #tellLeft(paths: ResolvedPaths): void {
    const { onLine } = this.#call;
    for (const { entry, why } of paths.left) {
      const message = `The permission for "${entry}" gives nothing: ${why}`;
      void onLine({ source: "engine", level: "WARN", message, metadata: { entry, why } });
    }
  }

  #openNetwork(): NetworkPass | null {
    const { permissions, sandbox, onNotice, runtime } = this.#call;
    const isObserved = sandbox === "observe";
    if (permissions.network.length === 0 && !isObserved) return null;
    if (runtime === "docker") this.#sockets = makeSocketFolder();
    this.#pass = this.#deps.gate.open({
      entries: permissions.network,
      mode: isObserved ? "observe" : "enforce",
      onDecision: (decision) => {
        // What would allow it: of a name that leads to a private address the address too.
        const targets = decision.entries.length === 0 ? [`${decision.host}:${decision.port}`] : decision.entries;
        if (isObserved) for (const target of targets) onNotice({ denied: false, call: "proxy", kind: "network", target, access: null });
        else if (!decision.allowed) this.#denials.fromDecision(decision);
      },
      ...(this.#sockets === null ? {} : { socketFolder: this.#sockets.path }),
    });
    return this.#pass;
  }

  #confine(command: TaskCommand, paths: ResolvedPaths, pass: NetworkPass | null): Confinement | null {
    const { sandbox, permissions, folders, runtime } = this.#call;
    if (sandbox === "off" || runtime === "docker") return null;
    const write = [folders.workdir, ...(isScript(this.#call) ? [folders.workspace] : [])];
    return confine({
      permissions,
      paths,
      runtime: { read: real(command.read), write: real(write) },
      ports: pass?.ports ?? [],
      user: folders.user,
      mode: sandbox,
      mayRun: isScript(this.#call),
      isBun: isBun(command),
    });
  }

  #take(notice: Notice): void {
    // The engine's own proxy and forwarders: what is reached through them is told by the proxy.
    const isOurs = notice.kind === "network" && (this.#pass?.ports ?? []).some((port) => notice.target === `127.0.0.1:${port}`);
    if (this.#call.sandbox === "observe") {
      if (!isOurs) this.#call.onNotice(notice);
    } else if (notice.denied) this.#denials.fromNotice(notice);
  }

  #launch(prepared: Prepared): TaskHandle {
    const { command, env, confinement } = prepared;
    const { graceMs, runtime } = this.#call;
    if (runtime === "docker") return this.#launchContainer(prepared);
    const onNotice = (notice: Notice) => this.#take(notice);
    const resultBytesMax = limits.outputBytesMax;
    const { argv, cwd, stdin } = command;
    const group = confinement?.mode === "enforce" ? openGroup(this.#deps.cgroups, this.#call.permissions) : null;
    const start = () =>
      this.#deps.spawn({ argv, env, cwd, stdin, graceMs, resultBytesMax, confinement, joinFiles: group?.joinFiles ?? [], onNotice });
    return group === null ? start() : inGroup(group, start);
  }

  #launchContainer(prepared: Prepared): TaskHandle {
    const { containers } = this.#deps;
    if (containers === null) throw fail("DOCKER_UNAVAILABLE", "Cannot run a task in a container: there is no container runtime here");
    const network = this.#pass === null || this.#sockets === null ? null : { pass: this.#pass, folder: this.#sockets };
    refuseContaining(prepared.paths);
    tellUnmounted(this.#call, prepared.paths);
    return containers.runContainer(containerSpec(this.#call, { ...prepared, network }));
  }

  /** What no kernel limit counts for a tree as a whole. */
  #watch(handle: TaskHandle): Watch {
    const { permissions, folders } = this.#call;
    const bytes = permissions.diskMb * bytesPerMb;
    const onOver = (what: Over): void => {
      this.#exceeded = what;
      handle.kill();
    };
    // A container's memory and processes are limited by its engine.
    const tree = handle.pid === undefined ? null : treeLimits(permissions);
    const share = this.#share;
    // The bound moves while attempts come that share the workspace.
    const all =
      share === null
        ? null
        : {
            folders: [folders.workdir, folders.workspace],
            get bytes() {
              return share.bytes;
            },
          };
    const own = { folders: [folders.workdir], bytes };
    const watches = [
      { pid: handle.pid ?? null, memoryBytes: tree?.memoryBytes ?? null, processes: tree?.processes ?? null, disk: all ?? own },
      ...(all === null ? [] : [{ pid: null, memoryBytes: null, processes: null, disk: own }]),
    ].map((ask) => this.#deps.watchdog.watch({ ...ask, onOver }));
    return { close: () => watches.forEach((watch) => watch.close()) };
  }

  async #execute(prepared: Prepared): Promise<ActionOutcome> {
    const call = this.#call;
    const handle = this.#launch(prepared);
    this.#handle = handle;
    const watch = prepared.confinement?.mode === "enforce" || call.runtime === "docker" ? this.#watch(handle) : null;
    const output = new TaskOutput(this.#onTaskLine, { outputBytes: call.permissions.outputBytes, masker: call.masker });
    const reading = output.read(handle.stdout, handle.stderr);
    // The result may be refused for its size while the task goes on: it is looked at when the task has ended.
    const framed = handle.result.then(
      (bytes) => ({ bytes, error: null }),
      (cause: unknown) => ({ bytes: null, error: resultError(cause) }),
    );
    const exit = await handle.exited.finally(() => watch?.close());
    await reading;
    const result = await framed;
    if (result.error !== null) return { ok: false, error: result.error, retryable: false };
    const frame = findFrame(call.folders.workdir, result.bytes ?? new Uint8Array(), call.masker);
    const exceeded = exit.oomKilled === true ? "memory" : this.#exceeded;
    const end = this.#endOf({ exit, frame, exceeded }, output, prepared.confinement);
    return this.#judge(end, prepared) ?? (await this.#succeed(frame, output));
  }

  #endOf(ended: Pick<End, "exit" | "frame" | "exceeded">, output: TaskOutput, confinement: Confinement | null): End {
    const call = this.#call;
    const { exit, frame, exceeded } = ended;
    const what = isScript(call) ? "script" : "action";
    const isStopped = this.#stop !== null;
    const isConfined = confinement !== null || call.runtime === "docker";
    return {
      exit,
      frame,
      exceeded,
      stderr: output.stderr(),
      what,
      limits: call.permissions,
      isConfined,
      isStopped,
      hasNetwork: call.permissions.network.length > 0,
    };
  }

  #judge(end: End, { paths, command, confinement }: Pick<Prepared, "paths" | "command" | "confinement">): ActionOutcome | null {
    const failure = findFailure(end);
    if (failure === null || end.isStopped || failure.error.code === "TASK_MEMORY") return failure;
    const lines = linesOf(end);
    const hasWorkspace = isScript(this.#call) || usesWorkspace(this.#call);
    const inContainer = this.#call.runtime === "docker" ? containerDenials(this.#call, { lines, command, paths, hasWorkspace }) : [];
    const recognised = confinement?.mode === "enforce" ? this.#recognise(lines, command, confinement) : inContainer;
    const denial = this.#denials.explain(lines, recognised);
    if (denial !== null) return deniedFailure(denial, end);
    const hint = this.#call.runtime === "docker" ? containerHint(end.exit.exitCode, end.stderr) : null;
    return hint === null ? failure : { ...failure, error: { ...failure.error, hint } };
  }

  #recognise(lines: readonly string[], command: TaskCommand, { read, write, hidden = [] }: Confinement): Recognised[] {
    const { inputs, env, permissions, folders, masker } = this.#call;
    // Built-ins spell paths as their inputs do.
    const { folder, workspace = null } = this.#places();
    const cwd = isBuiltIn(this.#call) ? (folder ?? command.cwd) : command.cwd;
    const bare = isBuiltIn(this.#call) && usesWorkspace(this.#call) ? (workspace ?? cwd) : cwd;
    const granted = { read, write, hidden, network: permissions.network, cwd, bare, user: folders.user };
    return recogniseDenials(lines, granted, masker.text([JSON.stringify(inputs), ...Object.values(env)].join("\n")));
  }

  async #succeed(frame: ResultFrame | null, output: TaskOutput, isLeft = true): Promise<ActionOutcome> {
    const { folders, action, permissions, onLine } = this.#call;
    const value = isScript(this.#call) || isContainerRun(this.#call) ? scriptOutput(folders.workdir, frame, output) : outputOf(frame);
    checkValue(this.#deps, { schema: action.output, value, code: "PLUGIN_OUTPUT_INVALID", what: "output" });
    if (!isLeft) return { ok: true, output: value, files: [] };
    const named = frame !== null && "output" in frame ? (frame.artifacts ?? []) : [];
    const onSkip = (name: string, why: string) =>
      void onLine({ source: "engine", level: "WARN", message: `"${name}" is no artifact: ${why}`, metadata: { name, why } });
    const files = await harvest({ folders, named, bytesMax: permissions.diskMb * 1024 * 1024, onSkip });
    return { ok: true, output: value, files };
  }
}

/** Whether the program is this binary's Bun. */
function isBun({ argv }: TaskCommand): boolean {
  return argv[0] === process.execPath;
}

/** One that knows what it needs: `core/script.run` is a script like those of `run:`. */
function isBuiltIn(call: ActionCall): boolean {
  return call.action.plugin === null && !isScript(call) && !isContainerRun(call) && call.action.asks(call.inputs) !== "everything";
}

/** Ends the group with the tree, and tells whether the kernel ended something in it for its memory: that may be the supervisor. */
function inGroup(group: Cgroup, start: () => TaskHandle): TaskHandle {
  try {
    const handle = start();
    const exited = handle.exited
      .catch((cause: unknown): ProcessExit => {
        if (group.wasOverMemory()) return { exitCode: null, signal: "SIGKILL" };
        throw cause;
      })
      .then((exit) => ({ ...exit, oomKilled: group.wasOverMemory() }))
      .finally(() => group.close());
    exited.catch(() => {});
    return { ...handle, exited };
  } catch (cause) {
    group.close();
    throw cause;
  }
}

/** Real paths, as what is denied is told by. */
function placesOf({ folders, folder, action }: ActionCall): TaskPlaces {
  const realOf = (path: string | null) => (path === null ? null : (realPath(path) ?? path));
  const workdir = realOf(folders.workdir);
  const plugin = realOf(action.plugin?.folder ?? null);
  return { workspace: realOf(folders.workspace), workdir, input: `${workdir}/in`, plugin, folder: realOf(folder) };
}

function usesWorkspace({ permissions }: ActionCall): boolean {
  const { read, write } = permissions.filesystem;
  return [...read, ...write].some((entry) => entry === "$workspace" || entry.startsWith("$workspace/"));
}

function real(paths: readonly string[]): string[] {
  return paths.map(realPath).filter((path) => path !== null);
}

/** The exit and what was printed, the lines of $WORKFLOW_OUTPUT, the members of the frame. */
function scriptOutput(workdir: string, frame: ResultFrame | null, output: TaskOutput): Json {
  const written = readBack(workdir, { name: "output", as: "$WORKFLOW_OUTPUT" }, limits.outputBytesMax);
  const members = written === null ? {} : parseOutputFile(new TextDecoder().decode(written));
  const framed = outputOf(frame);
  const result = isObject(framed) ? (framed as JsonObject) : {};
  return { exitCode: 0, stdout: output.stdout(), ...members, ...result };
}

type Checked = { schema: JsonObject; value: Json; code: "TASK_INPUT_INVALID" | "PLUGIN_OUTPUT_INVALID"; what: "inputs" | "output" };

/** @throws the code, with every finding and its JSON path */
function checkValue({ checkSchema }: InvokeDeps, { schema, value, code, what }: Checked): void {
  const findings = checkSchema(schema, value).slice(0, limits.diagnosticsMax);
  const [first] = findings;
  if (first === undefined) return;
  const found = findings.map(({ keys, message }) => ({ path: pathOf(what, keys), message }));
  const verb = what === "inputs" ? "start the action" : "take the result";
  throw fail(code, `Cannot ${verb}: ${pathOf(what, first.keys)} ${first.message}`, { details: { findings: found } });
}

function pathOf(root: string, keys: readonly (string | number)[]): string {
  return keys.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`),
    root,
  );
}
