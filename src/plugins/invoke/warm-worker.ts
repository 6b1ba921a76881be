// One warm worker: a confined process that serves one call after the other, and is ended at the first thing that is not as it
// should be. Its descriptors: requests on 0, log lines on 1 and 2, results on 3. Each request brings a fresh mark, which the worker
// prints on both streams before the result: what came until then was the call's.
import { type Clock, type ErrorBody, fail, type JsonObject, limits } from "../../base/index.ts";
import { LineSplitter } from "../../logs/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { NetworkDecision, NetworkGate, NetworkPass } from "../network/index.ts";
import type { Cgroup, Cgroups, Over, ProcessExit, ProcessHandle, spawnProcess, Watch, Watchdog } from "../runtimes/index.ts";
import type { Confinement, Notice } from "../sandbox/index.ts";
import { confine } from "./confine.ts";
import { realPath } from "./real-path.ts";
import { resultError } from "./judge.ts";
import { type ResultFrame, parseResultFrame } from "./script-output.ts";
import { readText, type TaskOutput } from "./task-output.ts";
import { bytesPerMb, openGroup, treeLimits } from "./tree-limits.ts";
import type { WarmSpec } from "./warm-fit.ts";
import { Growth } from "./warm-growth.ts";
import { clearFolder, hasLeft, isUntouched, makeCallFolder, takeCallFolder, type WarmFolders, type WorkerFolder } from "./warm-folder.ts";

export type WarmWorkerDeps = {
  spawn: typeof spawnProcess;
  gate: NetworkGate;
  watchdog: Watchdog;
  folders: WarmFolders;
  /** Left out: memory and processes of a tree are the watchdog's alone. */
  cgroups?: Pick<Cgroups, "open">;
  clock: Clock;
  /** Cryptographically random. */
  randomBytes: (count: number) => Uint8Array;
};

/** One call: what it is sent, and who takes what comes of it. */
export type WarmTurn = {
  /** The request, for the folder that is made for the call. */
  request: (workdir: string) => JsonObject;
  output: TaskOutput;
  /** Of the call's execution: a worker serves many. */
  masker: Masker;
  /** Where what the call leaves behind is put. */
  workdir: string;
  onNotice: (notice: Notice) => void;
  onDecision: (decision: NetworkDecision) => void;
};

/** As of a process of its own: a worker that answered an error counts as one that exited with 1. */
export type WarmEnd = {
  exit: ProcessExit;
  frame: ResultFrame | null;
  error: ErrorBody | null;
  exceeded: Over | null;
  /** Whether there may be something in `workdir` now. */
  isLeft: boolean;
};

type Running = WarmTurn & {
  folder: string;
  isAnswered: boolean;
  /** Null when the worker ended first. */
  result: PromiseWithResolvers<string | null>;
  mark: string;
  unmarked: Set<Stream>;
  marked: PromiseWithResolvers<void>;
};

const markBytes = 16;
const streams = ["stdout", "stderr"] as const;
type Stream = (typeof streams)[number];

export class WarmWorker {
  readonly key: string;
  readonly confinement: Confinement | null;
  readonly #folder: WorkerFolder;
  readonly #folders: WarmFolders;
  readonly #handle: ProcessHandle;
  readonly #randomBytes: WarmWorkerDeps["randomBytes"];
  readonly #clock: Clock;
  readonly #mayFork: boolean;
  readonly #growth: Growth | null;
  readonly #watch: Watch | null;
  readonly #pass: NetworkPass | null;
  readonly #group: Cgroup | null;
  /** When every process of it is gone and its pipes are read. */
  readonly gone: Promise<ProcessExit>;
  /** Of the last call: while nothing is in it, it is as good as a fresh one for the next. */
  #callFolder: string | null = null;
  #turn: Running | null = null;
  #last: WarmTurn | null = null;
  #calls = 0;
  #isSpoiled = false;
  #hasEnded = false;
  #exceeded: Over | null = null;

  /** Starts it. @throws SANDBOX_UNAVAILABLE and what else a start can fail with */
  constructor(deps: WarmWorkerDeps, spec: WarmSpec) {
    const { permissions, command, env, isEnforced, graceMs } = spec;
    this.key = spec.key;
    this.#folders = deps.folders;
    this.#randomBytes = deps.randomBytes;
    this.#clock = deps.clock;
    this.#mayFork = permissions.run || !isEnforced;
    this.#folder = deps.folders.make({ ownsUser: spec.ownsUser });
    this.#pass = permissions.network.length === 0 ? null : this.#openNetwork(deps.gate, permissions.network);
    this.#group = isEnforced ? openGroup(deps.cgroups, permissions) : null;
    const { path } = this.#folder;
    const places = { HOME: path, TMPDIR: path, WORKFLOW_WARM: path };
    try {
      this.confinement = isEnforced ? this.#confine(spec) : null;
      this.#handle = deps.spawn({
        argv: command.argv,
        env: { ...env.base, ...places, ...this.#pass?.env, ...env.given },
        cwd: command.cwd,
        stdin: "pipe",
        graceMs,
        resultBytesMax: limits.outputBytesMax,
        resultAsChunks: true,
        confinement: this.confinement,
        joinFiles: this.#group?.joinFiles ?? [],
        onNotice: (notice) => notice.denied && this.#meetDenial((turn) => turn.onNotice(notice)),
      });
    } catch (cause) {
      this.#dispose();
      throw cause;
    }
    this.#growth = this.confinement === null ? null : this.#openGrowth(this.confinement, permissions.memoryMb * bytesPerMb);
    this.#watch = isEnforced ? this.#watchUsage(deps.watchdog, spec) : null;
    this.gone = this.#follow();
    this.gone.catch(() => undefined);
  }

  /** Whether another call may be given to it. */
  get isUsable(): boolean {
    return !this.#isSpoiled && !this.#hasEnded && this.#calls < limits.warmCallsMax;
  }

  terminate(): void {
    this.#isSpoiled = true;
    this.#handle.terminate();
  }

  kill(): void {
    this.#isSpoiled = true;
    this.#handle.kill();
  }

  /** One call from its request to its end. @throws what the worker could not be started for, PLUGIN_OUTPUT_INVALID */
  async run(turn: WarmTurn): Promise<WarmEnd> {
    this.#calls += 1;
    const folder = this.#makeFolder();
    const running: Running = {
      ...turn,
      folder,
      isAnswered: false,
      result: Promise.withResolvers(),
      mark: Buffer.from(this.#randomBytes(markBytes)).toString("hex"),
      unmarked: new Set(streams),
      marked: Promise.withResolvers(),
    };
    // Only whoever waits for it may hear of its failure.
    running.result.promise.catch(() => undefined);
    this.#turn = running;
    try {
      this.#send({ ...turn.request(folder), mark: running.mark });
      return await this.#finish(running);
    } catch (cause) {
      this.kill();
      await this.gone.catch(() => undefined);
      throw cause;
    } finally {
      for (const stream of streams) void turn.output.end(stream);
      this.#turn = null;
      this.#last = turn;
      if (this.#hasEnded) this.#dispose();
      else if (this.#isSpoiled) this.kill();
      else if (!isUntouched(this.#folder.path, folder)) this.#clear();
    }
  }

  #clear(): void {
    this.#callFolder = null;
    if (!clearFolder(this.#folder.path)) this.kill();
  }

  #makeFolder(): string {
    try {
      this.#callFolder ??= makeCallFolder(this.#folder, this.#calls);
      return this.#callFolder;
    } catch (cause) {
      this.kill();
      throw fail("PLUGIN_EXIT", `Cannot start the action: its worker's folder cannot be used (${String((cause as { code?: string }).code)})`);
    }
  }

  async #finish(running: Running): Promise<WarmEnd> {
    const answer = await running.result.promise.then(
      (line) => ({ line, error: null }),
      (cause: unknown) => ({ line: null, error: resultError(cause) }),
    );
    if (answer.line === null) {
      if (answer.error !== null) this.kill();
      const exit = await this.gone;
      return { exit, frame: null, error: answer.error, exceeded: this.#exceeded, isLeft: false };
    }
    const frame = takeRelative(parseResultFrame(answer.line, running.masker), running.folder);
    const isError = "error" in frame;
    const isLeft = !isError && (frame.artifacts !== undefined || hasLeft(running.folder));
    // What is to be stored must not change any more; and what was denied is known for sure only when the worker is gone.
    if (isError || isLeft || this.#isSpoiled) await this.#end();
    else await this.#awaitMarks(running);
    if (isLeft) takeCallFolder(running.folder, running.workdir);
    return { exit: { exitCode: isError ? 1 : 0, signal: null }, frame, error: null, exceeded: this.#exceeded, isLeft };
  }

  /** Its result is there: how it ends says nothing more. */
  async #end(): Promise<void> {
    this.kill();
    await this.gone.catch(() => undefined);
  }

  /** The mark was printed before the result: mostly it has been read by now. */
  async #awaitMarks(running: Running): Promise<void> {
    if (running.unmarked.size > 0) {
      const timer = setTimeout(() => this.kill(), limits.warmMarkMs);
      await running.marked.promise;
      clearTimeout(timer);
    }
    if (this.#isSpoiled) await this.#end();
    else if ((this.#mayFork && this.#handle.descendants().length > 1) || this.#growth?.isLarge(this.#calls) === true) this.kill();
  }

  #send(request: JsonObject): void {
    // A worker that is gone is noticed by its end.
    this.#handle.stdin?.write(Buffer.from(`${JSON.stringify(request)}\n`)).catch(() => undefined);
  }

  async #follow(): Promise<ProcessExit> {
    const { stdout, stderr, resultChunks, exited } = this.#handle;
    const reading = Promise.all([
      this.#readStream("stdout", stdout),
      this.#readStream("stderr", stderr),
      resultChunks === null ? null : this.#readResults(resultChunks),
    ]);
    try {
      const exit = await exited;
      await reading;
      return exit;
    } finally {
      this.#hasEnded = true;
      this.#watch?.close();
      if (this.#group?.wasOverMemory() === true) this.#exceeded = "memory";
      this.#turn?.result.resolve(null);
      this.#turn?.marked.resolve();
      if (this.#turn === null) this.#dispose();
    }
  }

  /** By lines as they were printed, since marks are looked for first: what a call printed is masked by itself. */
  async #readStream(stream: Stream, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let taken: Promise<void> | void;
    const splitter = new LineSplitter((line, isCut) => {
      taken = this.#takeLine(stream, line, isCut) ?? taken;
    });
    await readText(chunks, async (text) => {
      splitter.push(text);
      await taken;
    });
    splitter.end();
  }

  #takeLine(stream: Stream, line: string, isCut: boolean): Promise<void> | void {
    const turn = this.#turn;
    // Out of turn: whose line it is nobody knows.
    if (turn === null) return this.kill();
    if (!turn.unmarked.has(stream))
      this.#isSpoiled = true; // an early mark, or something that goes on beside the calls
    else if (line.endsWith(turn.mark)) return this.#takeMark(turn, stream, line.slice(0, -turn.mark.length));
    return turn.output.take(stream, isCut ? line : `${line}\n`);
  }

  /** `text`: what was printed without a line's end before it. More may come, where the mark was printed into the middle of something:
   * the stream ends with the turn, so that a value around the mark is found. */
  #takeMark(turn: Running, stream: Stream, text: string): Promise<void> | void {
    turn.unmarked.delete(stream);
    const taken = turn.output.take(stream, text);
    if (turn.unmarked.size === 0) turn.marked.resolve();
    return taken;
  }

  /** Results, a line each; one at most in a call. */
  async #readResults(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let pieces: Uint8Array[] = [];
    let bytes = 0;
    const give = (line: string): void => {
      if (line.trim() === "") return;
      const turn = this.#turn;
      if (turn === null) return this.kill();
      const start = `${turn.mark} `;
      const isMarked = line.startsWith(start);
      // Of an earlier call, or a second one. A program that knows of no marks serves one call: there is nothing to confuse it with.
      if (turn.isAnswered || !(isMarked || this.#calls === 1)) this.#isSpoiled = true;
      else turn.result.resolve(isMarked ? line.slice(start.length) : line);
      turn.isAnswered ||= isMarked || this.#calls === 1;
    };
    for await (const chunk of chunks) {
      let from = 0;
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        give(Buffer.concat([...pieces, chunk.subarray(from, at)]).toString("utf8"));
        pieces = [];
        bytes = 0;
        from = at + 1;
      }
      pieces.push(chunk.subarray(from));
      bytes += chunk.length - from;
      if (bytes <= limits.outputBytesMax) continue;
      this.#turn?.result.reject(tooLarge(bytes));
      this.kill();
      pieces = [];
    }
    const rest = Buffer.concat(pieces).toString("utf8");
    if (rest !== "") give(rest);
  }

  #meetDenial(tell: (turn: WarmTurn) => void): void {
    this.#isSpoiled = true;
    const turn = this.#turn ?? this.#last;
    if (turn !== null) tell(turn);
    if (this.#turn === null) this.kill();
  }

  #openNetwork(gate: NetworkGate, entries: readonly string[]): NetworkPass {
    const onDecision = (decision: NetworkDecision): void => {
      if (!decision.allowed) this.#meetDenial((turn) => turn.onDecision(decision));
    };
    return gate.open({ entries, mode: "enforce", onDecision });
  }

  #confine({ permissions, resolve, command }: WarmSpec): Confinement {
    const { path, user } = this.#folder;
    const real = (all: readonly string[]) => all.map(realPath).filter((one) => one !== null);
    const runtime = { read: real(command.read), write: real([path]) };
    return confine({
      permissions,
      paths: resolve(),
      runtime,
      ports: this.#pass?.ports ?? [],
      user,
      mode: "enforce",
      mayRun: false,
      isBun: command.argv[0] === process.execPath,
    });
  }

  #openGrowth({ limits: kept }: Confinement, used: number): Growth {
    return new Growth(this.#handle, { clock: this.#clock, used, reserved: kept.memoryBytes ?? Number.POSITIVE_INFINITY });
  }

  #watchUsage(watchdog: Watchdog, spec: WarmSpec): Watch {
    const { permissions } = spec;
    return watchdog.watch({
      pid: this.#handle.pid,
      ...treeLimits(permissions),
      disk: { folders: [this.#folder.path], bytes: permissions.diskMb * bytesPerMb },
      onOver: (what) => {
        this.#exceeded = what;
        this.kill();
      },
    });
  }

  #dispose(): void {
    this.#pass?.close();
    this.#group?.close();
    this.#folders.remove(this.#folder);
  }
}

const newline = 10;

/** Paths in the call's folder are told from where it will stand. */
function takeRelative(frame: ResultFrame, folder: string): ResultFrame {
  if (!("output" in frame) || frame.artifacts === undefined) return frame;
  const inside = `${folder}/`;
  return { ...frame, artifacts: frame.artifacts.map((path) => (path.startsWith(inside) ? path.slice(inside.length) : path)) };
}

function tooLarge(bytes: number) {
  return fail("TOO_LARGE", `Cannot take the result of a task: ${bytes} bytes or more, above ${limits.outputBytesMax}`, {
    details: { bytes, bytesMax: limits.outputBytesMax },
    hint: "Return large results as artifacts.",
  });
}
