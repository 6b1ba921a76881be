// The product's server beside the bare one, both as compiled binaries, with executions to ask for.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchContext } from "./bench.ts";
import { root } from "./bench.ts";
import { compile, emptyHome } from "./programs.ts";
import { adminKey, type RunningServer, startProduct, startServer } from "./server.ts";

/** Compiles the bare server; the path of its binary. */
export async function compileBare(context: BenchContext): Promise<string> {
  const out = join(context.folder(), "bare-server");
  await compile(join(root, "bench/floors/bare-server.ts"), out);
  return out;
}

export type Pair = { ours: RunningServer; bare: RunningServer; headers: Record<string, string>; stop: () => Promise<void> };

/** Both servers with one key. `prepare` fills the product's and returns the paths whose answers the bare one gives back byte for byte. */
export async function startPair(context: BenchContext, prepare: (ask: Ask) => Promise<Record<string, string>>): Promise<Pair> {
  const home = context.folder();
  const ours = await startProduct(home);
  const key = adminKey(home);
  const ask = askWith(ours.url, key);
  const folder = context.folder();
  mkdirSync(folder, { recursive: true });
  for (const [name, path] of Object.entries(await prepare(ask))) writeFileSync(join(folder, `${name}.json`), await ask("GET", path));
  const binary = await compileBare(context);
  const digest = Bun.SHA256.hash(key, "hex");
  const bare = await startServer((port) => [binary, String(port), digest, folder], { cwd: folder, env: emptyHome(folder) });
  const stop = async (): Promise<void> => void (await Promise.all([ours.stop(), bare.stop()]));
  return { ours, bare, headers: { authorization: `Bearer ${key}` }, stop };
}

export type Ask = (method: string, path: string, body?: object) => Promise<string>;

function askWith(url: string, key: string): Ask {
  return async (method, path, body) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
}
