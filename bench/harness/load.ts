// Load on one URL for a bounded time over connections that are kept: by wrk where it is installed, else by a small client here.
import { rate } from "./bench.ts";

export const loadTool: string = Bun.which("wrk") === null ? "a client in Bun" : "wrk";

export type Load = { url: string; headers: Record<string, string>; connections: number; seconds: number };

/** Requests a second. @throws when an answer was not 2xx */
export function measureLoad(load: Load): Promise<number> {
  return loadTool === "wrk" ? runWrk(load) : runClient(load);
}

async function runWrk({ url, headers, connections, seconds }: Load): Promise<number> {
  const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const argv = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, ...given, url];
  const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "inherit"], timeout: (seconds + 10) * 1000 });
  const text = await new Response(child.stdout).text();
  await child.exited;
  const figure = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(figure > 0) || /Non-2xx|Socket errors/.test(text)) throw new Error(`Load on ${url} failed: ${text.trim()}`);
  return figure;
}

async function runClient({ url, headers, connections, seconds }: Load): Promise<number> {
  const started = performance.now();
  const end = started + seconds * 1000;
  let count = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      const response = await fetch(url, { headers });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`Load on ${url} failed: ${response.status}`);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, lane));
  return rate(count, performance.now() - started);
}
