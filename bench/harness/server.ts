// Servers as processes: started on a free port, waited for, and ended by their own pid.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { binary, emptyHome } from "./programs.ts";

const patienceMs = 15_000;

export type RunningServer = {
  url: string /** From the start of the process to the first healthy answer. */;
  healthyMs: number;
  stop: () => Promise<void>;
};

/** Starts a program that listens on the port and answers `/health`. @throws when it does not become healthy */
export async function startServer(argv: (port: number) => string[], options: { cwd: string; env: Record<string, string> }): Promise<RunningServer> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const child = Bun.spawn(argv(port), { ...options, stdio: ["ignore", "ignore", "ignore"] });
  while (!(await isHealthy(url))) {
    if (child.exitCode !== null || performance.now() - started > patienceMs) {
      child.kill("SIGKILL");
      throw new Error(`${argv(port).join(" ")} did not become healthy`);
    }
    await Bun.sleep(1);
  }
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    await child.exited;
    clearTimeout(timer);
  };
  return { url, healthyMs: performance.now() - started, stop };
}

/** The product's server on a data folder below `home`. */
export function startProduct(home: string): Promise<RunningServer> {
  return startServer((port) => [binary, "server", "start", "--port", String(port)], { cwd: home, env: emptyHome(home) });
}

/** The key that the product's first start wrote. */
export function adminKey(home: string): string {
  return readFileSync(join(home, "data/admin.key"), "utf8").trim();
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}

function freePort(): number {
  const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const port = probe.port ?? 0;
  void probe.stop(true);
  return port;
}
