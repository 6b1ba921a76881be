// The Docker runtime: finds the engine when it is needed, and runs, resolves and cleans up for one store.

import { join } from "node:path";
import { type Clock, isCoded, toErrorBody } from "../../../base/index.ts";
import { labelNames } from "./container-body.ts";
import { sweepControlFolders } from "./control-folder.ts";
import { asRecord, asTexts, callEngine, type Engine, findEngine, unavailable } from "./engine-api.ts";
import { Images } from "./image.ts";
import type { ContainerHandle, ContainerOwner, ContainerRunner, ContainerSpec, EngineState, PullPolicy, ResolvedImage } from "./ports.ts";
import { removeContainer, type RunDeps, startContainer } from "./run-container.ts";

export type ContainerRuntimeOptions = {
  /** Where an engine may answer, in the order of preference. */
  sockets: readonly string[];
  /** Absolute and private to the server; made when it is needed. */
  folder: string;
  /** Tells this store's containers from those of others. */
  store: string;
  /** Tells this process's containers from those of others on the same store. */
  owner: string;
  /** `plugins.docker` */
  settings: ContainerSettings;
  clock: Clock;
  /** Cryptographically random: names of containers are made of it. */
  randomBytes: (count: number) => Uint8Array;
};

export type ContainerSettings = { pull?: PullPolicy; cpus?: number; user?: string };

const defaultCpus = 2;

export class ContainerRuntime implements ContainerRunner {
  readonly #options: ContainerRuntimeOptions;
  readonly #images: Images;
  readonly #run: RunDeps;
  #engine: Promise<Engine> | null = null;

  constructor(options: ContainerRuntimeOptions) {
    this.#options = options;
    this.#images = new Images(options.clock);
    this.#run = {
      findEngine: () => this.#findEngine(),
      resolveImage: (engine, spec) => this.#resolve(engine, spec.image, spec.pull, spec.onProgress),
      labelsOf: (spec) => this.#labelsOf(spec),
      controlRoot: join(options.folder, "containers"),
      sockets: options.sockets,
      randomBytes: options.randomBytes,
      cpus: options.settings.cpus ?? defaultCpus,
      user: defaultUser(options.settings.user),
    };
  }

  async probe(): Promise<EngineState> {
    try {
      const { name, version, api, socket, rootless, missing } = await findEngine(this.#options.sockets);
      return { available: true, name, version, api, socket, rootless, missing };
    } catch (cause) {
      const { message, details } = toErrorBody(cause);
      const tried = asTexts(details?.["tried"]);
      return { available: false, why: tried.length === 0 ? message : `${message} (${tried.join("; ")})` };
    }
  }

  async resolveImage(image: string, pull: PullPolicy | null, onProgress?: (line: string) => void): Promise<ResolvedImage> {
    return this.#resolve(await this.#findEngine(), image, pull, onProgress);
  }

  runContainer(spec: ContainerSpec): ContainerHandle {
    const handle = startContainer(this.#run, spec);
    handle.exited.catch((cause: unknown) => this.#heed(cause, spec));
    return handle;
  }

  async removeLeftovers(isLive: (owner: ContainerOwner) => boolean): Promise<number> {
    const engine = await this.#findEngine();
    const filters = JSON.stringify({ label: [`${labelNames.store}=${this.#options.store}`] });
    const answer = await callEngine(engine, { method: "GET", path: "/containers/json", query: { all: "1", filters } });
    if (answer.status !== 200 || !Array.isArray(answer.json)) throw unavailable(`Cannot list containers: ${answer.message}`);
    const kept = new Set<string>();
    let removed = 0;
    for (const entry of answer.json.map(asRecord)) {
      const [name = ""] = Array.isArray(entry.Names) ? entry.Names.map((text) => String(text).replace(/^\//, "")) : [];
      if (isLive(ownerOf(asRecord(entry.Labels)))) {
        kept.add(name);
        continue;
      }
      await removeContainer(engine, String(entry.Id));
      removed++;
    }
    sweepControlFolders(this.#run.controlRoot, this.#options.clock.now(), (name) => kept.has(name));
    return removed;
  }

  #resolve(engine: Engine, image: string, pull: PullPolicy | null, onProgress?: (line: string) => void): Promise<ResolvedImage> {
    return this.#images.resolve(engine, { image, pull: pull ?? this.#options.settings.pull ?? "missing", onProgress });
  }

  #labelsOf({ labels }: ContainerSpec): Record<string, string> {
    return {
      [labelNames.execution]: labels.execution,
      [labelNames.task]: labels.task,
      [labelNames.attempt]: String(labels.attempt),
      [labelNames.store]: this.#options.store,
      [labelNames.owner]: this.#options.owner,
    };
  }

  /** Asked once; again after the engine was lost. */
  #findEngine(): Promise<Engine> {
    const found = this.#engine ?? findEngine(this.#options.sockets);
    this.#engine = found;
    found.catch(() => {
      if (this.#engine === found) this.#engine = null;
    });
    return found;
  }

  #heed(cause: unknown, spec: ContainerSpec): void {
    if (isCoded(cause, "DOCKER_UNAVAILABLE")) this.#engine = null;
    if (isCoded(cause, "IMAGE_NOT_FOUND")) this.#images.forget(spec.image);
  }
}

/** `uid:gid` as configured, else the server's own. */
function defaultUser(configured: string | undefined): { uid: number; gid: number } {
  const [uid, gid] = (configured ?? "").split(":").map(Number);
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

function ownerOf(labels: Record<string, unknown>): ContainerOwner {
  const text = (name: string) => (typeof labels[name] === "string" ? labels[name] : "");
  return {
    execution: text(labelNames.execution),
    task: text(labelNames.task),
    attempt: Number(text(labelNames.attempt)),
    owner: text(labelNames.owner),
  };
}
