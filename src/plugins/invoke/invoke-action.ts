// Runs one attempt of an action out of process: inputs checked, folders filled, permissions made a confinement, output and denials
// as they come, one outcome at the end. It decides nothing about retries, and leaves the timeout to the engine.
import { fail, isObject, type Json, type JsonObject, limits, toErrorBody } from "../../base/index.ts";
import type { TaskPlaces } from "../../model/index.ts";
import type { NetworkPass } from "../network/index.ts";
import type { Over, Watch } from "../runtimes/index.ts";
import type { Confinement, Notice } from "../sandbox/index.ts";
import { commandOf, isScript, type TaskCommand } from "./command.ts";
import { confine, realPath, type ResolvedPaths, resolvePaths } from "./confine.ts";
import { containerSpec, makeSocketFolder, type SocketFolder } from "./container.ts";
import { Denials } from "./denials.ts";
import { baseEnvironment, checkSizes } from "./environment.ts";
import { harvest, placeInputFiles } from "./files.ts";
import { deniedFailure, type End, findFailure, findFrame, linesOf, outputOf, resultError } from "./judge.ts";
import type { ActionCall, ActionOutcome, ActionRun, InvokeDeps, TaskHandle } from "./ports.ts";
import { readBack } from "./read-back.ts";
import { recogniseDenials } from "./recognise.ts";
import { parseOutputFile, type ResultFrame } from "./script-output.ts";
import { TaskOutput } from "./task-output.ts";

/** Starts one attempt. Never throws: what cannot be started is an outcome. */
export function invokeAction(deps: InvokeDeps, call: ActionCall): ActionRun {
  const attempt = new Attempt(deps, call);
  return { done: attempt.run(), terminate: () => attempt.stop("terminate"), kill: () => attempt.stop("kill") };
}

type Prepared = {
  command: TaskCommand;
  env: Record<string, string>;
  paths: ResolvedPaths;
  confinement: Confinement | null;
  hasWorkspace: boolean;
};
const bytesPerMb = 1024 * 1024;
/** Below the supervisor: what keeps the task. */
const keepers = 2;

type Stop = "terminate" | "kill";

class Attempt {
  readonly #deps: InvokeDeps;
  readonly #call: ActionCall;
  readonly #denials: Denials;
  #handle: TaskHandle | null = null;
  #stop: Stop | null = null;
  #exceeded: Over | null = null;
  #pass: NetworkPass | null = null;
  #sockets: SocketFolder | null = null;

  constructor(deps: InvokeDeps, call: ActionCall) {
    this.#deps = deps;
    this.#call = call;
    this.#denials = new Denials(placesOf(call), call.onDenial);
  }

  async run(): Promise<ActionOutcome> {
    try {
      checkValue(this.#deps, { schema: this.#call.action.input, value: this.#call.inputs, code: "TASK_INPUT_INVALID", what: "inputs" });
      const prepared = await this.#prepare();
      if (this.#stop !== null) throw fail("TASK_CANCELLED", "Stopped before it began");
      return await this.#execute(prepared);
    } catch (cause) {
      return { ok: false, error: toErrorBody(cause), retryable: false };
    } finally {
      this.#pass?.close();
      this.#sockets?.remove();
    }
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
    const pass = this.#openNetwork();
    const env = { ...baseEnvironment(call, hasWorkspace), ...pass?.env, ...call.env, ...command.env };
    checkSizes(command.argv, env);
    return { command, env, paths, hasWorkspace, confinement: this.#confine(command, paths, pass) };
  }

  #resolvePaths(command: TaskCommand, hasWorkspace: boolean): ResolvedPaths {
    const { folders, permissions, granted, action, onLine } = this.#call;
    const places = { ...placesOf(this.#call), workspace: hasWorkspace ? folders.workspace : null, plugin: command.plugin };
    const paths = resolvePaths({ filesystem: permissions.filesystem, granted, places, isBuiltIn: action.plugin === null && !isScript(this.#call) });
    for (const { entry, why } of paths.left) {
      const message = `The permission for "${entry}" gives nothing: ${why}`;
      void onLine({ source: "engine", level: "WARN", message, metadata: { entry, why } });
    }
    return paths;
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
        const target = `${decision.host}:${decision.port}`;
        if (isObserved) onNotice({ denied: false, call: "proxy", kind: "network", target, access: null });
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
    return this.#deps.spawn({ argv: command.argv, env, cwd: command.cwd, stdin: command.stdin, graceMs, resultBytesMax, confinement, onNotice });
  }

  #launchContainer(prepared: Prepared): TaskHandle {
    const { containers } = this.#deps;
    if (containers === null) throw fail("DOCKER_UNAVAILABLE", "Cannot run a task in a container: there is no container runtime here");
    const network = this.#pass === null || this.#sockets === null ? null : { pass: this.#pass, folder: this.#sockets };
    return containers.runContainer(containerSpec(this.#call, { ...prepared, network }));
  }

  /** What no kernel limit counts for a tree as a whole. */
  #watch(handle: TaskHandle, { hasWorkspace }: Prepared): Watch | null {
    const { permissions, folders } = this.#call;
    if (handle.pid === undefined) return null;
    return this.#deps.watchdog.watch({
      pid: handle.pid,
      memoryBytes: permissions.memoryMb * bytesPerMb,
      processes: permissions.processes + keepers,
      disk: { folders: [folders.workdir, ...(hasWorkspace ? [folders.workspace] : [])], bytes: permissions.diskMb * bytesPerMb },
      onOver: (what) => {
        this.#exceeded = what;
        handle.kill();
      },
    });
  }

  async #execute(prepared: Prepared): Promise<ActionOutcome> {
    const call = this.#call;
    const handle = this.#launch(prepared);
    this.#handle = handle;
    const watch = prepared.confinement?.mode === "enforce" ? this.#watch(handle, prepared) : null;
    const output = new TaskOutput(call.onLine, call.permissions.outputBytes);
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
    const frame = findFrame(call.folders.workdir, result.bytes ?? new Uint8Array());
    const end: End = {
      exit,
      frame,
      stderr: output.stderr(),
      what: isScript(call) ? "script" : "action",
      limits: call.permissions,
      isConfined: prepared.confinement !== null,
      exceeded: exit.oomKilled === true ? "memory" : this.#exceeded,
      isStopped: this.#stop !== null,
    };
    return this.#judge(end, prepared) ?? (await this.#succeed(frame, output));
  }

  #judge(end: End, { paths, command, confinement }: Prepared): ActionOutcome | null {
    const failure = findFailure(end);
    if (failure === null || end.isStopped || failure.error.code === "TASK_MEMORY") return failure;
    const lines = linesOf(end);
    if (confinement?.mode === "enforce") {
      const granted = {
        read: [...confinement.read, ...paths.read],
        write: [...confinement.write, ...paths.write],
        network: this.#call.permissions.network,
        cwd: command.cwd,
      };
      for (const denied of recogniseDenials(lines, granted, JSON.stringify(this.#call.inputs))) this.#denials.add(denied);
    }
    const denial = this.#denials.best(lines.join("\n"));
    return denial === null ? failure : deniedFailure(denial, end);
  }

  async #succeed(frame: ResultFrame | null, output: TaskOutput): Promise<ActionOutcome> {
    const { folders, action, permissions, onLine } = this.#call;
    const value = isScript(this.#call) ? scriptOutput(folders.workdir, frame, output) : outputOf(frame);
    checkValue(this.#deps, { schema: action.output, value, code: "PLUGIN_OUTPUT_INVALID", what: "output" });
    const named = frame !== null && "output" in frame ? (frame.artifacts ?? []) : [];
    const onSkip = (name: string, why: string) =>
      void onLine({ source: "engine", level: "WARN", message: `"${name}" is no artifact: ${why}`, metadata: { name, why } });
    const files = await harvest({ folders, named, bytesMax: permissions.diskMb * 1024 * 1024, onSkip });
    return { ok: true, output: value, files };
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
