// install.sh on release folders made here: a local file, a download from loopback, and everything that must be refused.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./repository.ts";

const releaseName = `workflow-${process.platform}-${process.arch}`;
const program = '#!/bin/sh\necho "workflow 9.9.9"\n';
const hasDownloader = Bun.which("curl") !== null || Bun.which("wget") !== null;

let work = "";
let target = "";

beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), "autokestra-install-"));
  target = join(work, "bin");
});

afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

/** Writes a release folder; `sum` is the digest that SHA256SUMS claims, null for no such file. */
async function writeRelease(text: string, sum: string | null): Promise<string> {
  const folder = join(work, "release");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, releaseName), text);
  if (sum !== null) await writeFile(join(folder, "SHA256SUMS"), `${"0".repeat(64)}  other\n${sum}  ${releaseName}\n`);
  return join(folder, releaseName);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

type Run = { exitCode: number; stdout: string; stderr: string };

async function install(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  const child = Bun.spawn(["sh", join(root, "install.sh"), ...args], {
    env: { PATH: process.env["PATH"] ?? "", HOME: work, AUTOKESTRA_INSTALL_DIR: target, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode, stdout, stderr };
}

describe("from a file", () => {
  test("installs the binary with its other names and leaves nothing else", async () => {
    const done = await install([await writeRelease(program, digest(program))]);
    expect([done.exitCode, done.stderr]).toEqual([0, ""]);
    expect(done.stdout).toContain("workflow 9.9.9");
    expect(done.stdout).toContain("export PATH=");
    expect((await readdir(target)).toSorted()).toEqual(["artifactctl", "cra", "workflow"]);
    expect(lstatSync(join(target, "workflow")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(target, "cra"))).toBe("workflow");
    expect(readlinkSync(join(target, "artifactctl"))).toBe("workflow");
  });

  test("takes a sum beside the file, and replaces an older version", async () => {
    const file = await writeRelease(program, null);
    await writeFile(`${file}.sha256`, `${digest(program)}  ${releaseName}\n`);
    await mkdir(target);
    await writeFile(join(target, "workflow"), "old");
    expect((await install([file])).exitCode).toBe(0);
    expect(readFileSync(join(target, "workflow"), "utf8")).toBe(program);
  });

  test("goes to the home of an ordinary user, and gives no hint when that is on the path", async () => {
    const folder = join(work, ".local/bin");
    const shims = join(work, "shims");
    await mkdir(shims);
    await writeFile(join(shims, "id"), "#!/bin/sh\necho 1000\n", { mode: 0o755 });
    const file = await writeRelease(program, digest(program));
    const path = `${shims}:${process.env["PATH"] ?? ""}:${folder}`;
    const done = await install([file], { AUTOKESTRA_INSTALL_DIR: "", PATH: path });
    expect(done.exitCode).toBe(0);
    expect(done.stdout).not.toContain("export PATH=");
    expect(existsSync(join(folder, "workflow"))).toBe(true);
  });
});

describe("refused, with nothing installed", () => {
  const broken = "#!/bin/sh\nexit 3\n";
  const cases: { title: string; text: string; sum: string | null }[] = [
    { title: "bytes that do not fit the sum", text: program, sum: digest("other") },
    { title: "no sum at all", text: program, sum: null },
    { title: "a list of sums without this file", text: program, sum: "" },
    { title: "a binary that does not start", text: broken, sum: digest(broken) },
  ];
  for (const { title, text, sum } of cases) {
    test(title, async () => {
      const done = await install([await writeRelease(text, sum)]);
      expect(done.exitCode).toBe(1);
      expect(done.stderr).toStartWith("install: Cannot ");
      expect(existsSync(target) ? await readdir(target) : []).toEqual([]);
    });
  }

  test("a file that does not exist, and no source at all", async () => {
    expect((await install([join(work, "none")])).exitCode).toBe(1);
    expect((await install([])).exitCode).toBe(1);
    expect(existsSync(target)).toBe(false);
  });
});

describe("from a URL", () => {
  // Some machines have neither curl nor wget, and then there is nothing to download with.
  test.skipIf(!hasDownloader)("downloads the file of this machine and verifies it", async () => {
    const file = await writeRelease(program, digest(program));
    const folder = join(file, "..");
    const asked: string[] = [];
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const name = new URL(request.url).pathname.slice(1);
        asked.push(name);
        return existsSync(join(folder, name)) ? new Response(Bun.file(join(folder, name))) : new Response("", { status: 404 });
      },
    });
    const base = { AUTOKESTRA_BASE_URL: `http://127.0.0.1:${server.port}/` };
    expect((await install([], base)).exitCode).toBe(0);
    expect(asked).toEqual(["SHA256SUMS", releaseName]);
    await rm(join(folder, "SHA256SUMS"));
    await rm(target, { recursive: true });
    expect((await install([], base)).exitCode).toBe(1);
    expect(existsSync(target)).toBe(false);
  });
});
