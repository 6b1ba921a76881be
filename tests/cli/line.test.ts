// The command line of the built binary: version, help, completion, and what it says about lines that are wrong.
import { describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import manifest from "../../package.json" with { type: "json" };
import { commandSpecs } from "../../src/cli/registry.ts";
import { binary, Home } from "../product/binary.ts";

const home = new Home();

describe("version and names", () => {
  test("[CRA-X10] the version is that of package.json", async () => {
    expect(await home.run(["--version"])).toEqual({ code: 0, signal: null, stdout: `workflow ${manifest.version}\n`, stderr: "" });
  });

  test("under another name it is the same program and speaks of itself by that name", async () => {
    for (const name of ["cra", "artifactctl"]) {
      const link = home.path(name);
      symlinkSync(binary, link);
      const { stdout, exitCode } = Bun.spawnSync([link, "list", "--help"], { env: home.env() });
      expect(exitCode).toBe(0);
      expect(stdout.toString()).toContain(`${name} list`);
    }
  });
});

describe("help", () => {
  test("[CRA-X03] every command has usage, common options and an example, on stdout", async () => {
    for (const spec of commandSpecs.filter((one) => one.load !== null)) {
      const { code, stdout, stderr } = await home.run([...spec.path.split(" "), "--help"]);
      expect([spec.path, code, stderr]).toEqual([spec.path, 0, ""]);
      expect(stdout).toContain(`workflow ${spec.path}`);
      expect(stdout).toMatch(/^Usage$/m);
      expect(stdout).toMatch(/^Examples$/m);
      expect(stdout).toContain("--json");
    }
  }, 30_000);

  test("[WF-28] the program's help names every command, and says which are not there yet", async () => {
    const { stdout, code } = await home.run(["--help"]);
    expect(code).toBe(0);
    for (const spec of commandSpecs) {
      const line = stdout.split("\n").find((one) => one.trimStart().startsWith(`${spec.path} `));
      expect([spec.path, line?.includes("not in this version yet")]).toEqual([spec.path, spec.load === null]);
    }
  });

  test("a word that several commands begin with shows those", async () => {
    const { stdout, code } = await home.run(["execution"]);
    expect(code).toBe(0);
    expect(stdout).toContain("execution inspect");
    expect(stdout).not.toContain("key create");
  });
});

describe("wrong lines", () => {
  test.each([
    [["list", "--jsno"], /--json/],
    [["lsit"], /workflow list/],
    [["run"], /FILE\|ID/],
    [["execution", "list", "--limit", "x"], /--limit/],
    [["--nonsense"], /--nonsense/],
    [["list", "extra"], /extra/],
    [["run", "x.yaml", "--input", "novalue"], /--input/],
  ])("%j ends with 2, says so on stderr and nothing on stdout", async (args, about) => {
    const { code, stdout, stderr } = await home.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toStartWith("error[USAGE]: ");
    expect(stderr).toMatch(about);
  });

  test("[WF-07] with --json the error is the envelope, alone on stderr", async () => {
    const { code, stdout, stderr } = await home.run(["list", "--jsno", "--json"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: "USAGE", kind: "usage", message: expect.any(String), hint: expect.stringContaining("--json") },
    });
  });

  test("a command of a later version ends with 3", async () => {
    const { code, stdout, stderr } = await home.run(["deploy", "--artifact", "x", "--json"]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "NOT_AVAILABLE_YET", kind: "invalid" } });
  });

  test("a server that does not answer ends with 9", async () => {
    const { code, stderr } = await home.run(["list", "--server", "http://127.0.0.1:1", "--json"]);
    expect(code).toBe(9);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "SERVER_UNREACHABLE" } });
  });

  test("an answer that cannot be written is an error with a code, whatever the command", async () => {
    for (const line of ["list --json", "--help", "completion bash"]) {
      const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", `"${binary}" ${line} > /dev/full`], { env: home.env(), stderr: "pipe" });
      expect([line, exitCode]).toEqual([line, 4]);
      expect(stderr.toString()).toContain("ENOSPC");
    }
    expect(Bun.spawnSync(["sh", "-c", `"${binary}" lsit 2> /dev/full`], { env: home.env() }).exitCode).toBe(2);
  });

  test("a reader that goes away ends the command quietly", async () => {
    const { stdout, exitCode, stderr } = Bun.spawnSync(["sh", "-c", `"${binary}" --help | head -n 1`], { env: home.env() });
    expect({ exitCode, lines: stdout.toString().split("\n").length, stderr: stderr.toString() }).toEqual({ exitCode: 0, lines: 2, stderr: "" });
  });
});

describe("completion", () => {
  test("bash completes commands and options", async () => {
    const script = `source <("${binary}" completion bash)
      complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _workflow; echo "\${COMPREPLY[*]}"; }
      complete_words workflow exec; complete_words workflow execution wa; complete_words workflow execution logs abc --fo`;
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script], { env: home.env() });
    expect([stdout.toString().split("\n"), stderr.toString()]).toEqual([["execution", "watch", "--follow", ""], ""]);
  });

  test("zsh and fish get scripts, others a usage error", async () => {
    expect((await home.run(["completion", "zsh"])).stdout).toStartWith("#compdef workflow");
    expect((await home.run(["completion", "fish"])).stdout).toContain("complete -c workflow");
    expect((await home.run(["completion", "cmd"])).code).toBe(2);
  });
});
