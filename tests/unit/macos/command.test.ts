// The command line of a confined task: limits as arguments of one fixed script, and a shell that takes nothing from the task's environment.
import { expect, test } from "bun:test";
import { ceilingScript, checkMacEnvironment, macCommand, parseCeilings } from "../../../src/plugins/runtimes/macos/command.ts";

const tools = { sandboxExec: "/usr/bin/sandbox-exec", shell: "/bin/sh", ps: "/bin/ps", launchctl: "/bin/launchctl" };
const unlimited = { cpuSeconds: null, openFiles: null, fileBlocks: null };
const none = { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null };
const hostile = ['"; id; "', "$(id)", "`id`", "a\nb", "-p", "--"];

test("the script is the same for everybody; all that differs is an argument", () => {
  const one = macCommand({ tools, ceilings: unlimited, limits: none, profile: { profile: "P", parameters: {} }, argv: ["/bin/true"] });
  const parameters = { READ_0: hostile.join("/"), WRITE_0: "/w" };
  const limits = { ...none, cpuSeconds: 3, openFiles: 64, fileBytes: 1025 };
  const two = macCommand({ tools, ceilings: unlimited, limits, profile: { profile: "Q", parameters }, argv: ["/bin/echo", ...hostile] });
  const script = one[3] ?? "";
  expect(one).toEqual(["/bin/sh", "-p", "-c", script, "task-keeper", "-", "-", "-", "/usr/bin/sandbox-exec", "-p", "P", "--", "/bin/true"]);
  expect(two).toEqual([
    "/bin/sh",
    "-p",
    "-c",
    script,
    "task-keeper",
    "3",
    "64",
    "3",
    "/usr/bin/sandbox-exec",
    "-D",
    `READ_0=${hostile.join("/")}`,
    "-D",
    "WRITE_0=/w",
    "-p",
    "Q",
    "--",
    "/bin/echo",
    ...hostile,
  ]);
});

test("no limit is above what this process itself has left", () => {
  const ceilings = { cpuSeconds: 10, openFiles: 100, fileBlocks: 7 };
  const command = (limits: typeof none | Record<string, number | null>) =>
    macCommand({ tools, ceilings, limits: { ...none, ...limits }, profile: { profile: "P", parameters: {} }, argv: ["/bin/true"] }).slice(5, 8);
  expect(command({ cpuSeconds: 99, openFiles: 1000, fileBytes: 1e9 })).toEqual(["10", "100", "7"]);
  expect(command({ cpuSeconds: 0.5, openFiles: 20, fileBytes: 512 })).toEqual(["1", "20", "1"]);
});

test("the limits hold in what the script starts, a bad one starts nothing", () => {
  const run = (limits: object, shell = "/bin/sh") => {
    const fake = { ...tools, shell, sandboxExec: "/usr/bin/env" };
    const command = macCommand({
      tools: fake,
      ceilings: unlimited,
      limits: { ...none, ...limits },
      profile: { profile: "x=1", parameters: {} },
      argv: [],
    });
    // In the place of `-p PROFILE --`: what the shell hands itself over to.
    const argv = [...command.slice(0, 8), "/bin/sh", "-c", "ulimit -t; ulimit -n; ulimit -f; ulimit -c; ulimit -H -n"];
    const ran = Bun.spawnSync(argv, { env: {}, stdio: ["ignore", "pipe", "ignore"] });
    return { exitCode: ran.exitCode, lines: ran.stdout.toString().trim().split("\n") };
  };
  expect(run({ cpuSeconds: 7, openFiles: 40, fileBytes: 512 * 9 })).toEqual({ exitCode: 0, lines: ["7", "40", "9", "0", "40"] });
  const bad = run({ openFiles: Number.MAX_SAFE_INTEGER });
  expect(bad.exitCode).not.toBe(0);
  expect(bad.lines).toEqual([""]);
});

test("variables that are heeded before the sandbox is closed are refused, others not", () => {
  const bad = [
    "DYLD_INSERT_LIBRARIES",
    "MallocLogFile",
    "BASH_FUNC_ulimit%%",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "OBJC_PRINT_IMAGES",
    "LIBDISPATCH_LOG",
  ];
  for (const name of bad) expect(() => checkMacEnvironment({ [name]: "x" })).toThrow(expect.objectContaining({ code: "TASK_INPUT_INVALID" }));
  expect(() => checkMacEnvironment({ PATH: "", HOME: "/", ENVIRONMENT: "", MY_DYLD_X: "", MALLOC: "" })).not.toThrow();
});

test("the ceilings are read as the shell prints them", () => {
  expect(parseCeilings("unlimited\n1024\n77\n")).toEqual({ cpuSeconds: null, openFiles: 1024, fileBlocks: 77 });
  for (const text of ["", "1\n2\n", "1\n2\nx\n", "1\n2\n3\n4\n"]) {
    expect(() => parseCeilings(text)).toThrow(expect.objectContaining({ code: "SANDBOX_UNAVAILABLE" }));
  }
  const here = Bun.spawnSync(["/bin/sh", "-p", "-c", ceilingScript], { env: {} }).stdout.toString();
  expect(() => parseCeilings(here)).not.toThrow();
});
