// Every command of the README's tour, and of the other documents' `sh` blocks, runs as it is printed.
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { ensureBinary, Home, root } from "../product/binary.ts";

/** The fenced `sh` blocks of a document, in order. */
function blocks(path: string): string[] {
  return [...readFileSync(path, "utf8").matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text ?? "");
}

/** Runs the blocks as one shell session in a copy of the checkout that has only the binary and the examples. */
async function runTour(home: Home, script: string): Promise<{ code: number | null; out: string }> {
  const checkout = home.path("checkout");
  mkdirSync(join(checkout, "dist"), { recursive: true });
  symlinkSync(join(root, "dist/workflow"), join(checkout, "dist/workflow"));
  cpSync(join(root, "examples"), join(checkout, "examples"), { recursive: true });
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home.dir, LANG: "C.UTF-8" };
  const child = spawn("sh", ["-eux", "-c", script], { cwd: checkout, env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { code, out };
}

test("[WF-25] the README's tour of five minutes works line by line", async () => {
  const home = new Home();
  ensureBinary();
  const script = blocks(join(root, "README.md")).join("\n");
  expect(script.split("\n").filter((line) => line.startsWith("workflow ")).length).toBeGreaterThan(15);
  const { code, out } = await runTour(home, script);
  expect({ code, out: code === 0 ? "" : out }).toEqual({ code: 0, out: "" });
  expect(out).toContain("Hello Ada, /usr/bin has");
}, 60_000);

test("the documents' command lines run", async () => {
  const files = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  for (const name of files) {
    const script = blocks(join(root, "docs", name)).join("\n");
    if (script === "") continue;
    const { code, out } = await runTour(new Home(), `PATH="$PWD/dist:$PATH"\n${script}`);
    expect({ name, code, out: code === 0 ? "" : out }).toEqual({ name, code: 0, out: "" });
  }
  expect(files.length).toBeGreaterThan(5);
}, 120_000);
