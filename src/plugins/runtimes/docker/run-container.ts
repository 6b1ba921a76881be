// One container from its making to its removal. Whatever happens in between, nothing of it is left behind.

import { type CodedError, fail, toHex } from "../../../base/index.ts";
import { attach, type Attached } from "./attach.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { commandOf, containerBody } from "./container-body.ts";
import { makeControlFolder, removeControlFolder } from "./control-folder.ts";
import { asRecord, callEngine, type Engine, type EngineAnswer } from "./engine-api.ts";
import { checkMounts } from "./mounts.ts";
import type { ContainerExit, ContainerHandle, ContainerSpec, ResolvedImage } from "./ports.ts";

export type RunDeps = {
  findEngine(): Promise<Engine>;
  resolveImage(engine: Engine, spec: ContainerSpec): Promise<ResolvedImage>;
  /** Labels of all that the server starts, and of this container. */
  labelsOf(spec: ContainerSpec): Record<string, string>;
  /** Private to the server; holds a folder for each container that there is. */
  controlRoot: string;
  /** Cryptographically random. */
  randomBytes: (count: number) => Uint8Array;
  sockets: readonly string[];
  cpus: number;
  /** Of tasks that have no user of their own. */
  user: { uid: number; gid: number };
};

type Signal = "SIGTERM" | "SIGKILL";
type Made = { engine: Engine; id: string; name: string };

/** What the engine still has to send when the container has ended is read no longer than this without an end. */
const drainMs = 5000;
const removeTries = 5;
const prefix = "autokestra-";

/** Starts a container; what goes wrong comes by `exited`. */
export function startContainer(deps: RunDeps, spec: ContainerSpec): ContainerHandle {
  const life = new ContainerLife(deps, spec);
  const exited = life.run();
  // Callers read the output first.
  exited.catch(() => {});
  return {
    stdout: life.output.stdout,
    stderr: life.output.stderr,
    result: Promise.resolve(new Uint8Array()),
    exited,
    terminate: () => life.terminate(),
    kill: () => life.stop("SIGKILL"),
  };
}

class ContainerLife {
  readonly output = { stdout: new ChunkQueue(), stderr: new ChunkQueue() };
  readonly #deps: RunDeps;
  readonly #spec: ContainerSpec;
  readonly #stopAsked: Promise<void>;
  #wakeStop: () => void = () => {};
  #sent: Signal | null = null;
  #running: Made | null = null;
  #attached: Attached | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(deps: RunDeps, spec: ContainerSpec) {
    this.#deps = deps;
    this.#spec = spec;
    this.#stopAsked = new Promise((resolve) => {
      this.#wakeStop = resolve;
    });
  }

  terminate(): void {
    if (this.#sent !== null) return;
    this.#timer = setTimeout(() => this.stop("SIGKILL"), this.#spec.graceMs);
    this.stop("SIGTERM");
  }

  stop(signal: Signal): void {
    if (this.#sent === "SIGKILL" || this.#sent === signal) return;
    this.#sent = signal;
    this.#wakeStop();
    if (this.#running !== null) void this.#send(this.#running, signal);
  }

  async run(): Promise<ContainerExit> {
    let name: string | null = null;
    let engine: Engine | null = null;
    try {
      const prepared = await this.#prepare();
      if (prepared === null) return this.#stopped();
      ({ engine, name } = prepared);
      const id = await create(prepared.engine, name, prepared.body);
      const made = { engine, id, name };
      this.#attached = await attach(engine, id, this.output);
      return await this.#runMade(made);
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#running = null;
      this.#attached?.close();
      for (const queue of Object.values(this.output)) queue.end();
      if (engine !== null && name !== null) {
        await removeContainer(engine, name).catch(() => {});
        removeControlFolder(this.#deps.controlRoot, name);
      }
    }
  }

  /** Null when the task was stopped meanwhile: fetching an image may take long. */
  async #prepare(): Promise<{ engine: Engine; name: string; body: Record<string, unknown> } | null> {
    const { deps, spec } = { deps: this.#deps, spec: this.#spec };
    const engine = await deps.findEngine();
    refuseMissingLayers(engine);
    const image = await Promise.race([deps.resolveImage(engine, spec), this.#stopAsked]);
    if (image === undefined || this.#sent !== null) return null;
    checkCommand(spec, image);
    const mounts = checkMounts(spec.mounts, [...deps.sockets, engine.socket]);
    const user = spec.user ?? deps.user;
    const name = `${prefix}${toHex(deps.randomBytes(8))}`;
    const env = { ...image.env, ...spec.env };
    const files = { arch: engine.arch, env, stdin: spec.stdin, user };
    const controlFolder = makeControlFolder(deps.controlRoot, name, files);
    const labels = deps.labelsOf(spec);
    return { engine, name, body: containerBody({ spec, image, engine, mounts, controlFolder, user, cpus: deps.cpus, labels }) };
  }

  async #runMade(made: Made): Promise<ContainerExit> {
    const { engine, id } = made;
    if (this.#sent !== null) return this.#stopped();
    const started = await callEngine(engine, { method: "POST", path: `/containers/${id}/start` });
    if (started.status >= 300) throw refused("start a container", started);
    this.#running = made;
    if (this.#sent !== null) void this.#send(made, this.#sent);
    // Asked after the start: the container is not removed by itself, so that an end that came first is still told.
    const waited = await callEngine(engine, { method: "POST", path: `/containers/${id}/wait`, timeoutMs: null });
    const code = asRecord(waited.json).StatusCode;
    if (waited.status !== 200 || typeof code !== "number") throw refused("wait for a container", waited);
    this.#running = null;
    await this.#drain();
    const { OOMKilled: oomKilled } = asRecord(asRecord((await callEngine(engine, { method: "GET", path: `/containers/${id}/json` })).json).State);
    return exitOf(code, this.#sent, oomKilled === true);
  }

  async #drain(): Promise<void> {
    this.#attached?.hurry();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainMs);
    });
    await Promise.race([this.#attached?.ended, late]);
    if (timer !== null) clearTimeout(timer);
  }

  /** When the engine cannot be asked, the relay still hears that its lifeline is cut. */
  async #send({ engine, id }: Made, signal: Signal): Promise<void> {
    try {
      const answer = await callEngine(engine, { method: "POST", path: `/containers/${id}/kill`, query: { signal } });
      // 404 and 409: it has ended.
      if (answer.status >= 500 && signal === "SIGKILL") this.#attached?.close();
    } catch {
      this.#attached?.close();
    }
  }

  #stopped(): ContainerExit {
    return { exitCode: null, signal: this.#sent, oomKilled: false };
  }
}

/** @throws SANDBOX_UNAVAILABLE */
function refuseMissingLayers(engine: Engine): void {
  if (engine.missing.length === 0) return;
  throw fail("SANDBOX_UNAVAILABLE", `Cannot confine a container: the engine at ${engine.socket} has no ${engine.missing.join(", no ")}`, {
    details: { missing: engine.missing },
    hint: "Delegate the memory, pids and cpu controllers to the engine, and leave its seccomp profile at the default.",
  });
}

/** @throws TASK_INPUT_INVALID */
function checkCommand(spec: ContainerSpec, image: ResolvedImage): void {
  const command = commandOf(spec, image);
  if (command.length === 0 || command[0] === "") {
    throw fail("TASK_INPUT_INVALID", `Cannot run the image "${spec.image}": neither it nor the task names a command`);
  }
  const texts = [...command, ...(spec.cwd === null ? [] : [spec.cwd])];
  if (texts.some((text) => text.includes("\0")) || spec.cwd?.startsWith("/") === false) {
    throw fail("TASK_INPUT_INVALID", "Cannot start a container: an argument holds a NUL byte, or its folder is not absolute");
  }
}

async function create(engine: Engine, name: string, body: Record<string, unknown>): Promise<string> {
  const answer = await callEngine(engine, { method: "POST", path: "/containers/create", query: { name }, body });
  const { Id: id } = asRecord(answer.json);
  if (answer.status !== 201 || typeof id !== "string") throw refused("make a container", answer);
  return id;
}

/** What the engine says no to is the task's own (its folder, its image) unless the engine has failed itself. */
function refused(what: string, { status, message }: EngineAnswer): CodedError {
  const code = /no such image/i.test(message) ? "IMAGE_NOT_FOUND" : status >= 500 ? "SANDBOX_UNAVAILABLE" : "TASK_FAILED";
  return fail(code, `Cannot ${what}: ${message}`, { details: { status } });
}

/** The relay reports a signal as 128 + its number, so one that we sent is recognised by what came of it. */
function exitOf(code: number, sent: Signal | null, oomKilled: boolean): ContainerExit {
  if (code === 137 && (sent !== null || oomKilled)) return { exitCode: null, signal: "SIGKILL", oomKilled };
  if (code === 143 && sent !== null) return { exitCode: null, signal: "SIGTERM", oomKilled };
  return { exitCode: code, signal: null, oomKilled };
}

/** Ends and removes a container with its volumes. One that is gone is no mistake.
 * @throws DOCKER_UNAVAILABLE */
export async function removeContainer(engine: Engine, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const call = { method: "DELETE", path: `/containers/${name}`, query: { force: "1", v: "1" } } as const;
    const { status, message } = await callEngine(engine, call);
    // 409: it is being removed already.
    if (status < 300 || status === 404 || status === 409) return;
    if (attempt === removeTries) throw fail("DOCKER_UNAVAILABLE", `Cannot remove the container ${name}: ${message}`, { details: { status } });
    await Bun.sleep(100 * attempt);
  }
}
