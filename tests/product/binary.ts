// The built product in a home of its own: every test that drives the binary goes through here. The environment is built from
// empty, so that neither Bun on the PATH nor a developer's settings reach it.
import { afterAll } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dir, "../..");
export const binary = join(root, "dist/workflow");

/** Builds dist/workflow when it is missing or older than a source. */
export function ensureBinary(): void {
  const newest = Math.max(...["src", "assets"].map((folder) => newestIn(join(root, folder))), statSync(join(root, "package.json")).mtimeMs);
  if (existsSync(binary) && statSync(binary).mtimeMs >= newest) return;
  const built = Bun.spawnSync([join(root, "node_modules/.bin/bun"), "build.ts"], { cwd: root, stdout: "pipe", stderr: "pipe" });
  if (built.exitCode !== 0) throw new Error(`build failed: ${built.stderr.toString()}`);
}

function newestIn(folder: string): number {
  let newest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return newest;
}

export type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string };

/** A temporary home with its own data folder; removed after the file's tests, when what it started has ended. */
export class Home {
  readonly dir = mkdtempSync(join(tmpdir(), "autokestra-test-"));
  readonly data = join(this.dir, "data");
  readonly #children = new Set<ChildProcess>();

  constructor() {
    ensureBinary();
    afterAll(() => this.close());
  }

  env(extra: Record<string, string> = {}): Record<string, string> {
    return { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: this.dir, AUTOKESTRA_HOME: this.data, LANG: "C.UTF-8", NO_COLOR: "1", ...extra };
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  start(
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string; stdin?: string } = {},
  ): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(binary, args, { cwd: options.cwd ?? this.dir, env: this.env(options.env), stdio: ["pipe", "pipe", "pipe"] });
    this.#children.add(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.stdin ?? "");
    const ended = new Promise<Ended>((resolve) =>
      child.on("close", (code, signal) => {
        this.#children.delete(child);
        resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
      }),
    );
    return { child, ended };
  }

  run(args: readonly string[], options: { env?: Record<string, string>; cwd?: string; stdin?: string } = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** Starts a server on a free port and waits until it is ready. */
  async startServer(extra: readonly string[] = [], env: Record<string, string> = {}): Promise<Server> {
    const { child, ended } = this.start(["server", "start", "--port", "0", ...extra], { env });
    const url = await until(async () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${(await ended).stderr}`);
      const file = join(this.data, "server.json");
      if (!existsSync(file)) return null;
      const record = JSON.parse(readFileSync(file, "utf8")) as { pid: number; url: string };
      if (record.pid !== child.pid) return null;
      const ready = await fetch(`${record.url}/health/ready`).catch(() => null);
      return ready?.status === 200 ? record.url : null;
    }, 20_000);
    return new Server({ child, ended, url, key: readFileSync(join(this.data, "admin.key"), "utf8").trim() });
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export class Server {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly url: string;
  readonly key: string;

  constructor(parts: { child: ChildProcess; ended: Promise<Ended>; url: string; key: string }) {
    this.child = parts.child;
    this.ended = parts.ended;
    this.url = parts.url;
    this.key = parts.key;
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: unknown; text: string }> {
    const init: RequestInit = { method, headers: { authorization: `Bearer ${this.key}`, ...headers } };
    if (typeof body === "string") init.body = body;
    else if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { "content-type": "application/json", ...init.headers };
    }
    const response = await fetch(this.url + path, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true && text !== "";
    return { status: response.status, body: isJson ? (JSON.parse(text) as unknown) : text, text };
  }

  async apply(id: string, source: string): Promise<void> {
    const answer = await this.call("PUT", `/api/v1/workflows/${id}`, source, { "content-type": "application/yaml" });
    if (answer.status >= 300) throw new Error(`apply ${id}: ${answer.status} ${answer.text}`);
  }

  kill(): Promise<Ended> {
    this.child.kill("SIGKILL");
    return this.ended;
  }

  stop(): Promise<Ended> {
    this.child.kill("SIGTERM");
    return this.ended;
  }
}

/** Polls until the answer is neither null nor undefined; fails after the deadline. */
export async function until<T>(look: () => T | null | undefined | Promise<T | null | undefined>, deadlineMs = 10_000): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
    if (performance.now() > end) throw new Error(`nothing within ${deadlineMs} ms`);
    await Bun.sleep(10);
  }
}

/** Live processes whose command line or environment holds the marker. */
export function processesWith(marker: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return false;
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(marker) || readFileSync(`/proc/${pid}/environ`, "latin1").includes(marker);
      } catch {
        return false;
      }
    });
}
