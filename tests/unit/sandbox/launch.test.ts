// The pure parts around a launch: the report, the program's file, the errors of failed starts, the interpreters.

import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainFailedStep, explainLostSupervisor } from "../../../src/plugins/runtimes/launch-errors.ts";
import { commandFor } from "../../../src/plugins/runtimes/index.ts";
import { compilePlan, parseReport, reportBytes, resolveProgram } from "../../../src/plugins/sandbox/index.ts";

describe("parseReport", () => {
  const head = (words: Record<number, number>) => {
    const bytes = Buffer.alloc(reportBytes);
    for (const [offset, word] of Object.entries(words)) bytes.writeUInt32LE(word, Number(offset));
    return bytes;
  };

  test("an untouched plan reports nothing", () => {
    expect(parseReport(head({}))).toEqual({ failed: null, pid: null, status: null });
    const fresh = compilePlan({ arch: "x64", program: "/bin/true", argv: ["true"], env: {}, cwd: "/", enginePid: 1 });
    expect(parseReport(fresh.bytes)).toEqual({ failed: null, pid: null, status: null });
  });

  test("a failed first step differs from none", () => {
    expect(parseReport(head({ 16: 1, 24: 38 })).failed).toEqual({ step: 0, errno: 38 });
  });

  test("a status of 0 differs from no end", () => {
    expect(parseReport(head({ 28: 77, 32: 1 }))).toEqual({ failed: null, pid: 77, status: 0 });
    expect(parseReport(head({ 28: 77, 36: 9 })).status).toBeNull();
    expect(parseReport(head({ 28: 77, 32: 1, 36: 9 })).status).toBe(9);
  });
});

describe("resolveProgram", () => {
  const folder = mkdtempSync(join(tmpdir(), "programs-"));
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  mkdirSync(first);
  mkdirSync(join(second, "tool-folder"), { recursive: true });
  writeFileSync(join(first, "plain"), "");
  for (const path of [join(second, "plain"), join(second, "tool")]) writeFileSync(path, "", { mode: 0o755 });

  test("takes the first executable file of the path", () => {
    expect(resolveProgram("tool", `${first}:${second}`)).toBe(join(second, "tool"));
    expect(resolveProgram("plain", `${first}:${second}`)).toBe(join(second, "plain"));
  });

  test("leaves names with a slash as they are", () => {
    expect(resolveProgram("./tool", second)).toBe("./tool");
    expect(resolveProgram("/x/tool", second)).toBe("/x/tool");
  });

  test("never looks in the current folder", () => {
    expect(resolveProgram("tool", `:.:bin:${first}`)).toBe(join(first, "tool"));
    expect(resolveProgram("tool", "")).toBe("/usr/bin/tool");
  });

  test("does not take a folder for a program", () => {
    expect(resolveProgram("tool-folder", `${second}:${first}`)).toBe(join(first, "tool-folder"));
    rmSync(folder, { recursive: true });
  });
});

describe("errors of a failed start", () => {
  const spec = { argv: ["tool", "-x"], cwd: "/work" };
  const { steps } = compilePlan({ arch: "x64", program: "/bin/tool", argv: spec.argv, env: {}, cwd: spec.cwd, enginePid: 1 });
  const stepOf = (wanted: string) => steps.findLast((step) => (step.kind === "syscall" ? step.call : step.kind) === wanted);

  test("name the program, the folder or the launcher's step", () => {
    expect(explainFailedStep(spec, stepOf("execve"), 2)).toMatchObject({ code: "FILE_NOT_FOUND", details: { program: "tool", errno: "ENOENT" } });
    expect(explainFailedStep(spec, stepOf("execve"), 8)).toMatchObject({ code: "TASK_FAILED", details: { errno: "ENOEXEC" } });
    expect(explainFailedStep(spec, stepOf("chdir"), 13)).toMatchObject({ code: "TASK_FAILED", details: { folder: "/work", errno: "EACCES" } });
    expect(explainFailedStep(spec, stepOf("fork"), 11)).toMatchObject({ code: "SANDBOX_UNAVAILABLE", details: { step: "fork", errno: "EAGAIN" } });
    expect(explainFailedStep(spec, stepOf("close_range"), 38)).toMatchObject({
      code: "SANDBOX_UNAVAILABLE",
      details: { step: "close_range", errno: "ENOSYS" },
    });
    expect(explainFailedStep(spec, undefined, 74)).toMatchObject({ code: "SANDBOX_UNAVAILABLE" });
    expect(explainLostSupervisor("SIGKILL")).toMatchObject({ code: "TASK_FAILED", details: { signal: "SIGKILL" } });
  });
});

describe("commandFor", () => {
  test("gives each shell its flags", () => {
    expect(commandFor("sh", "/s")).toEqual({ argv: ["sh", "-eu", "/s"], env: {} });
    expect(commandFor("bash", "/s")).toEqual({ argv: ["bash", "-euo", "pipefail", "/s"], env: {} });
    expect(commandFor("python3", "/s")).toEqual({ argv: ["python3", "/s"], env: {} });
    expect(commandFor("bun", "/s.ts")).toEqual({
      argv: [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", "/s.ts"],
      env: { BUN_BE_BUN: "1" },
    });
  });
});
