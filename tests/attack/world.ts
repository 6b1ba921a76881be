// A machine under attack: secrets of others, listeners, a victim process; and plugins that try to reach them through the real binary,
// started by root or by an ordinary user. Everything is readable by its file modes, so that only the sandbox can be what denies.
import { afterAll } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, ensureBinary, processesWith } from "../product/binary.ts";

export const languages = ["ts", "sh", "python"] as const;
export type Language = (typeof languages)[number];
export type User = "root" | "ordinary user";

const ordinary = 65534;
const isRoot = process.getuid?.() === 0;

/** As whom the suite can start the product here. */
export const users: readonly User[] = isRoot ? (Bun.which("setpriv") === null ? ["root"] : ["root", "ordinary user"]) : ["ordinary user"];

export type Attack = { attack: string; path?: string; host?: string; port?: number; pid?: number };
export type Denied = { kind: string; target: string; rule: string; grant: string | null };
export type TaskEnd = {
  state: string;
  reason: string | null;
  code: string | null;
  details: Partial<Denied>;
  output: Record<string, unknown> | null;
  message: string;
  hint: string | null;
};
export type Run = {
  code: number | null;
  stderr: string;
  tasks: Map<string, TaskEnd>;
  denials: Map<string, Denied[]>;
  logged: Map<string, Denied[]>;
  id: string;
};

/** `data`: another data folder than the usual one. */
type Options = { permissions?: object; config?: object; env?: Record<string, string>; data?: string };

export class World {
  readonly user: User;
  readonly base = mkdtempSync(join(tmpdir(), "attack-"));
  readonly data = join(this.base, "data");
  readonly secret = join(this.base, "victim/secret.txt");
  readonly open = join(this.base, "victim/open");
  readonly socket = join(this.base, "victim/docker.sock");
  readonly mark = `victim-${crypto.randomUUID()}`;
  readonly #servers: { close(): unknown }[] = [];
  readonly #children: ChildProcess[] = [];
  /** Connections that reached a listener that nobody was granted. */
  reached = 0;
  granted = 0;
  forbidden = 0;
  udp = 0;
  victim = 0;

  constructor(user: User) {
    this.user = user;
    ensureBinary();
    for (const folder of ["data", "victim", "victim/open", "home", "workflows"]) mkdirSync(join(this.base, folder));
    writeFileSync(this.secret, "the secret of the host");
    writeFileSync(join(this.open, "file"), "open to everybody");
    cpSync(join(import.meta.dir, "plugins"), join(this.base, "plugins"), { recursive: true });
    this.#handOver(this.base);
    for (const path of [this.base, this.open]) chmodSync(path, 0o777);
    chmodSync(join(this.open, "file"), 0o666);
    afterAll(() => this.close());
  }

  #handOver(path: string): void {
    if (!isRoot || this.user === "root") return;
    chownSync(path, ordinary, ordinary);
    for (const entry of readdirSync(path, { recursive: true, encoding: "utf8" })) chownSync(join(path, entry), ordinary, ordinary);
  }

  /** Makes the user that the product runs as the owner of a path. */
  give(path: string): void {
    if (isRoot && this.user !== "root") chownSync(path, ordinary, ordinary);
  }

  /** Listeners: one to be granted, one not, over TCP, UDP and a Unix socket; and a process of the engine's own user. */
  async start(): Promise<this> {
    const listen = (server: Server, at: object) => new Promise<void>((resolve) => server.listen(at, () => resolve()));
    const granted = createServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\ngranted"));
    const forbidden = createServer((socket) => {
      this.reached += 1;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret");
    });
    const unix = createServer((socket) => {
      this.reached += 1;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    });
    await listen(granted, { port: 0, host: "127.0.0.1" });
    await listen(forbidden, { port: 0, host: "127.0.0.1" });
    await listen(unix, { path: this.socket });
    chmodSync(this.socket, 0o777);
    this.granted = portOf(granted);
    this.forbidden = portOf(forbidden);
    const udp = createSocket("udp4", () => (this.reached += 1));
    await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", () => resolve()));
    this.udp = udp.address().port;
    this.#servers.push(granted, forbidden, unix, udp);
    const [command, ...args] = this.#as(["sleep", "600"]);
    const victim = spawn(command ?? "", args, { env: { MARK: this.mark, TOP_SECRET: "of the victim" }, stdio: "ignore" });
    this.#children.push(victim);
    this.victim = victim.pid ?? 0;
    return this;
  }

  #as(command: string[]): string[] {
    if (!isRoot || this.user === "root") return command;
    return ["setpriv", "--reuid", `${ordinary}`, "--regid", `${ordinary}`, "--clear-groups", ...command];
  }

  /** Calls the product to the end. */
  async call(
    args: readonly string[],
    { config = {}, env = {}, data = this.data }: Options = {},
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const file = join(this.base, "config.json");
    writeFileSync(file, JSON.stringify({ plugins: { paths: [join(this.base, "plugins")] }, execution: { killGrace: "500ms" }, ...config }));
    const [command, ...rest] = this.#as([binary, ...args, "--config", file, "--data", data]);
    const child = spawn(command ?? "", rest, {
      cwd: this.base,
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        HOME: join(this.base, "home"),
        NO_COLOR: "1",
        TOP_SECRET: "of the engine",
        ENGINE_MARK: this.mark,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const code = child.exitCode ?? (await new Promise<number | null>((resolve) => child.on("close", resolve)));
    return { code, stdout, stderr };
  }

  /** Runs one workflow of plugin calls, `id: [language, attack]`, all independent of each other. */
  async attack(attacks: Record<string, [Language, Attack]>, options: Options = {}): Promise<Run> {
    const tasks = Object.entries(attacks).map(([id, [language, inputs]]) => ({ id, type: `attack/${language}.try`, inputs, timeout: "20s" }));
    return this.runTasks(tasks, options);
  }

  /** Runs one workflow of any tasks. */
  async runTasks(tasks: readonly object[], options: Options = {}): Promise<Run> {
    const file = join(this.base, "workflows", `${crypto.randomUUID()}.yaml`);
    const id = `attack-${crypto.randomUUID()}`;
    writeFileSync(file, JSON.stringify({ id, permissions: options.permissions ?? {}, tasks }));
    chmodSync(file, 0o644);
    const ran = await this.call(["run", file, "--json"], options);
    if (!ran.stdout.startsWith("{")) throw new Error(`no execution: ${ran.stderr}`);
    const execution = JSON.parse(ran.stdout) as Execution;
    const executionId = execution.execution.executionId;
    const trace = await this.call(["trace", "tail", "--trace-id", executionId, "--event-type", "permission.denied", "--limit", "500"], options);
    const logs = await this.call(["execution", "logs", executionId, "--source", "engine", "--limit", "500", "--json"], options);
    const verified = await this.call(["trace", "verify", "--all", "--state"], options);
    if (verified.code !== 0) throw new Error(`the trace does not verify: ${verified.stdout}${verified.stderr}`);
    return {
      id: executionId,
      code: ran.code,
      stderr: ran.stderr,
      tasks: new Map(execution.tasks.map((task) => [task.taskId, endOf(task)])),
      denials: byTask(
        trace.stdout
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => (JSON.parse(line) as { payload: Denied & { task: string } }).payload),
      ),
      logged: byTask(
        (JSON.parse(logs.stdout) as LogPage).items
          .filter(({ level, metadata }) => level === "ERROR" && metadata !== null)
          .map(({ taskId, metadata }) => ({ task: taskId ?? "", ...(metadata as Denied) })),
      ),
    };
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const child of this.#children) child.kill("SIGKILL");
    for (const pid of processesWith(this.mark)) kill(pid);
    spawnSync("chmod", ["-R", "u+w", this.base]);
    rmSync(this.base, { recursive: true, force: true });
  }
}

type Execution = {
  execution: { executionId: string };
  tasks: {
    taskId: string;
    state: string;
    reasonCode: string | null;
    output: Record<string, unknown> | null;
    error: { code: string; message: string; hint?: string; details?: Partial<Denied> } | null;
  }[];
};
type LogPage = { items: { level: string; taskId: string | null; metadata: object | null }[] };

function endOf(task: Execution["tasks"][number]): TaskEnd {
  const { state, reasonCode, output, error } = task;
  return {
    state,
    reason: reasonCode,
    code: error?.code ?? null,
    details: error?.details ?? {},
    output,
    message: error?.message ?? "",
    hint: error?.hint ?? null,
  };
}

function byTask(found: readonly (Denied & { task: string })[]): Map<string, Denied[]> {
  const out = new Map<string, Denied[]>();
  for (const { task, kind, target, rule, grant } of found) out.set(task, [...(out.get(task) ?? []), { kind, target, rule, grant }]);
  return out;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended meanwhile
  }
}
