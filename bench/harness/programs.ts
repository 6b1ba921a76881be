// Builds and starts what the benches run as processes: the product's binary, and programs that are compiled the same way.
import { join } from "node:path";
import { root } from "./bench.ts";

/** The product as people run it. */
export const binary: string = join(root, "dist/workflow");

/** Compiles a file with the product's own build, so that a floor has the same flags. @throws when it does not build */
export async function compile(entry: string, out: string): Promise<void> {
  const child = Bun.spawn([process.execPath, join(root, "build.ts"), "--entry", entry, "--out", out], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot build ${entry}: ${errors.trim()}`);
}

/** An environment in which a program finds nothing of whoever runs the bench. */
export function emptyHome(folder: string): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: folder, AUTOKESTRA_HOME: join(folder, "data"), LANG: "C.UTF-8", NO_COLOR: "1" };
}

/** Runs a program to its end. @throws when it fails */
export function run(argv: string[], options: { cwd: string; env: Record<string, string> }): void {
  const child = Bun.spawnSync(argv, { ...options, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`Cannot run ${argv.join(" ")}: exit ${child.exitCode}: ${child.stderr.toString().trim()}`);
}
