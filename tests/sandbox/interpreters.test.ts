// Scripts run by each interpreter, and by the compiled binary itself, which is the runtime of bun scripts: launcher and
// interpreter must work without any file beside the binary, and nothing in the task's folder may change what runs.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandFor } from "../../src/plugins/runtimes/index.ts";
import type { Shell } from "../../src/plugins/runtimes/index.ts";
import { finish, onLinux, startTask } from "./task-tree.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "interpreters-"));
  chmodSync(folder, 0o755);
  // What Bun would pick up from the folder that it starts in.
  writeFileSync(join(folder, ".env"), "FROM_DOTENV=1\n");
  writeFileSync(join(folder, "preload.ts"), "console.log('preloaded');\n");
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const typescript = `
  enum Shape { Round = 7 }
  const seen: string[] = [String(process.env.FROM_DOTENV), process.argv[1]!.endsWith("script.ts") ? "script" : "other"];
  console.log(seen.join(" "));
  process.exit(Shape.Round);
`;

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("interpreters", () => {
  const run = (shell: Shell, script: string) => {
    const { argv, env } = commandFor(shell, script);
    return finish(startTask(argv, { cwd: folder, env: { PATH: "/usr/bin:/bin", ...env } }));
  };

  test("sh stops at the first error and at unset names", async () => {
    expect((await run("sh", write("a.sh", "echo one; false; echo two\n"))).stdout).toBe("one\n");
    expect((await run("sh", write("b.sh", "echo one; echo $NONE; echo two\n"))).stdout).toBe("one\n");
  });

  test("bash stops at an error inside a pipe", async () => {
    const { stdout, exit } = await run("bash", write("a.bash", "echo one; false | cat; echo two\n"));
    expect([stdout, exit.exitCode]).toEqual(["one\n", 1]);
  });

  // Not every machine has Python.
  test.skipIf(Bun.which("python3", { PATH: "/usr/bin:/bin" }) === null)("python3 runs the file", async () => {
    const { stdout, exit } = await run("python3", write("a.py", "import sys\nprint('hello')\nsys.exit(3)\n"));
    expect([stdout, exit.exitCode]).toEqual(["hello\n", 3]);
  });

  test("bun runs TypeScript and reads neither .env nor bunfig.toml", async () => {
    const { stdout, exit } = await run("bun", write("script.ts", typescript));
    expect([stdout, exit.exitCode]).toEqual(["undefined script\n", 7]);
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("the compiled binary", () => {
  const driver = new URL("./compiled-driver.ts", import.meta.url).pathname;

  test("carries the launcher, and is the runtime of bun scripts", async () => {
    const binary = join(folder, "driver");
    const build = Bun.spawnSync([process.execPath, "build", "--compile", driver, "--outfile", binary], {
      env: { ...process.env, BUN_BE_BUN: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    expect({ code: build.exitCode, errors: build.exitCode === 0 ? "" : build.stderr.toString() }).toEqual({ code: 0, errors: "" });
    const script = write("script.ts", typescript);
    const child = Bun.spawn([binary, script, folder], { cwd: "/", env: {}, stdio: ["ignore", "pipe", "inherit"] });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual({
      runtime: binary,
      stdout: "undefined script\n",
      exit: { exitCode: 7, signal: null },
      failed: "FILE_NOT_FOUND",
    });
  }, 60_000);
});
