// A container engine of our own for tests: dockerd in a temporary folder, with an image made of busybox. Nothing of the
// machine's own Docker is touched.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ContainerRuntime } from "../../src/plugins/runtimes/docker/index.ts";
import type { ContainerExit, ContainerHandle, ContainerRuntimeOptions, ContainerSpec } from "../../src/plugins/runtimes/docker/index.ts";

export const image = "autokestra-test:1";

export type TestEngine = {
  folder: string;
  socket: string;
  runtime(options?: { store?: string; owner?: string; folder?: string; settings?: ContainerRuntimeOptions["settings"] }): ContainerRuntime;
  /** The engine's own view, as JSON. */
  ask(path: string): Promise<unknown>;
  /** Names of all containers of the engine. */
  containers(): Promise<string[]>;
  /** Makes an image of a folder. `changes`: lines of a Dockerfile. */
  importImage(root: string, name: string, changes?: readonly string[]): Promise<void>;
  /** The folder of the image with busybox. */
  root: string;
  stop(): Promise<void>;
};

const startMs = 30_000;

/** What `app` gives a runtime of the world. */
export const ambient: Pick<ContainerRuntimeOptions, "clock" | "randomBytes"> = {
  clock: { now: () => Date.now() },
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/** Starts an engine, or says why none can be started here. */
export async function startTestEngine(): Promise<{ engine: TestEngine; reason: "" } | { engine: null; reason: string }> {
  if (process.getuid?.() !== 0) return { engine: null, reason: " (skipped: dockerd needs root)" };
  const busybox = Bun.which("busybox");
  if (Bun.which("dockerd") === null || busybox === null) return { engine: null, reason: " (skipped: dockerd or busybox is not installed)" };
  const folder = mkdtempSync(join(tmpdir(), "docker-"));
  // Tasks with a user of their own start below it.
  chmodSync(folder, 0o711);
  const socket = join(folder, "docker.sock");
  const places = [`--data-root=${folder}/data`, `--exec-root=${folder}/exec`, `--pidfile=${folder}/pid`, `--host=unix://${socket}`];
  const daemon = Bun.spawn(["dockerd", "--iptables=false", "--bridge=none", "--storage-driver=vfs", "--group=root", ...places], {
    stdio: ["ignore", Bun.file(join(folder, "log")), Bun.file(join(folder, "log"))],
  });
  const stop = async () => {
    daemon.kill("SIGTERM");
    await daemon.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await answers(socket, daemon))) {
    const why = readFileSync(join(folder, "log"), "utf8").trim().split("\n").at(-1) ?? "";
    await stop();
    return { engine: null, reason: ` (skipped: dockerd does not start here: ${why.slice(0, 200)})` };
  }
  const engine = testEngine(folder, socket, stop);
  makeRoot(engine.root, busybox);
  await engine.importImage(engine.root, image);
  return { engine, reason: "" };
}

async function answers(socket: string, daemon: Bun.Subprocess): Promise<boolean> {
  const deadline = performance.now() + startMs;
  while (performance.now() < deadline && daemon.exitCode === null) {
    const answer = existsSync(socket) ? await fetch("http://engine/_ping", { unix: socket }).catch(() => null) : null;
    if (answer?.ok === true) return true;
    await Bun.sleep(50);
  }
  return false;
}

function testEngine(folder: string, socket: string, stop: () => Promise<void>): TestEngine {
  const ask = async (path: string) => (await fetch(`http://engine${path}`, { unix: socket, keepalive: false })).json() as Promise<unknown>;
  return {
    folder,
    socket,
    root: join(folder, "root"),
    stop,
    ask,
    runtime: ({ store = "store-1", owner = "owner-1", folder: own = join(folder, "runtime"), settings = {} } = {}) =>
      new ContainerRuntime({ ...ambient, sockets: [socket], folder: own, store, owner, settings: { pull: "never", ...settings } }),
    async containers() {
      const list = (await ask("/containers/json?all=1")) as { Names: string[] }[];
      return list.flatMap(({ Names }) => Names);
    },
    async importImage(root, name, changes = []) {
      const [repo = "", tag = ""] = name.split(":");
      const query = new URLSearchParams({ fromSrc: "-", repo, tag });
      for (const line of changes) query.append("changes", line);
      const body = await new Response(Bun.spawn(["tar", "-C", root, "-c", "."]).stdout).bytes();
      const answer = await fetch(`http://engine/images/create?${query.toString()}`, { method: "POST", unix: socket, body });
      const text = await answer.text();
      if (!answer.ok || text.includes('"error"')) throw new Error(text);
    },
  };
}

/** busybox with its links, and with its libraries where it needs some. */
function makeRoot(root: string, busybox: string): void {
  for (const name of ["bin", "tmp", "etc", "root"]) mkdirSync(join(root, name), { recursive: true });
  cpSync(busybox, join(root, "bin/busybox"), { dereference: true });
  const applets = Bun.spawnSync([busybox, "--list"]).stdout.toString().trim().split("\n");
  for (const name of applets.filter((applet) => applet !== "busybox")) symlinkSync("busybox", join(root, "bin", name));
  const libraries = Bun.spawnSync(["ldd", busybox], { stderr: "ignore" }).stdout.toString();
  for (const [, path = ""] of libraries.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    cpSync(path, join(root, path), { dereference: true });
  }
}

/** A container that runs a script of sh, with nothing granted. */
export function script(text: string, changes: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    image,
    pull: null,
    command: ["sh", "-c", text],
    env: { PATH: "/bin" },
    stdin: null,
    mounts: [],
    network: null,
    cwd: null,
    limits: { memoryBytes: 64 * 1024 * 1024, processes: 16, cpus: null, cpuSeconds: null, openFiles: 256, fileBytes: null },
    labels: { execution: "execution-1", task: "build", attempt: 1 },
    user: null,
    graceMs: 5000,
    ...changes,
  };
}

export type Ended = { exit: ContainerExit; stdout: string; stderr: string };

/** Reads both streams to the end. */
export async function finish(handle: ContainerHandle): Promise<Ended> {
  const [stdout, stderr, exit] = await Promise.all([readAll(handle.stdout), readAll(handle.stderr), handle.exited]);
  return { exit, stdout, stderr };
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) kept.push(chunk);
  return Buffer.concat(kept).toString("utf8");
}

/** The next piece of a stream as text. */
export async function readSome(chunks: AsyncIterator<Uint8Array>): Promise<string> {
  const { value } = await chunks.next();
  return value === undefined ? "" : Buffer.from(value as Uint8Array).toString("utf8");
}

/** Asks again and again until it is so; false when it does not become so in time. */
export async function until(isSo: () => Promise<boolean> | boolean, ms = 20_000): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    if (await isSo()) return true;
    await Bun.sleep(20);
  }
  return false;
}
