// Progress: lines for pipes, the tree's model, and what trace events mean for who watches.
import { describe, expect, test } from "bun:test";
import type { Progress } from "../../../src/app/app.ts";
import { progressOf } from "../../../src/cli/progress/follow-execution.ts";
import { renderProgressLine } from "../../../src/cli/progress/plain-view.ts";
import { createTreeModel, foldProgress, renderTree } from "../../../src/cli/progress/tree-model.ts";
import { plainStyle } from "../../../src/cli/render/style.ts";

const task = (taskId: string, state: string, at: number, more: Partial<Extract<Progress, { kind: "task" }>> = {}): Progress => ({
  kind: "task",
  taskId,
  phase: null,
  state,
  reason: null,
  attempt: 1,
  at,
  durationMs: null,
  message: null,
  ...more,
});

describe("the tree", () => {
  const view = { now: 5000, width: 60, height: 24, style: plainStyle };

  test("shows parallel tasks with their time and last line, escapes made visible", () => {
    const model = createTreeModel("hello", ["a", "b", "c"]);
    foldProgress(model, task("a", "RUNNING", 1000));
    foldProgress(model, task("b", "RUNNING", 2000));
    foldProgress(model, { kind: "log", taskId: "b", level: "INFO", source: "stdout", message: "\u001b[2Jhi", at: 2500 });
    foldProgress(model, task("a", "SUCCESS", 3000, { durationMs: 2000 }));
    const lines = renderTree(model, view);
    expect(lines).toHaveLength(4);
    expect(lines[1]).toContain("✓ a  2.00s");
    expect(lines[2]).toContain("b  3.00s     \\x1b[2Jhi");
    expect(lines[3]).toContain("· c");
  });

  test("is never wider or higher than its terminal, and keeps what runs and what failed", () => {
    const model = createTreeModel(
      "x".repeat(200),
      Array.from({ length: 100 }, (_, index) => `task-${index}`),
    );
    foldProgress(model, task("task-90", "RUNNING", 0, { message: "日本語".repeat(50) }));
    foldProgress(model, task("task-91", "FAILED", 0, { reason: "TASK_FAILED" }));
    const lines = renderTree(model, { ...view, height: 10 });
    expect(lines.length).toBeLessThan(10);
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(60);
    const text = lines.join("\n");
    expect(text).toContain("task-90");
    expect(text).toContain("task-91");
    expect(text).toContain("98 PENDING");
  });
});

describe("plain lines", () => {
  const paint = (state: string) => state;

  test("carry reason, attempt, duration and message on one line", () => {
    const line = renderProgressLine(task("a", "FAILED", 0, { reason: "TASK_FAILED", attempt: 2, durationMs: 1500, message: "no\nway" }), paint);
    expect(line.slice(8)).toBe("  a  FAILED  TASK_FAILED  attempt 2  1.50s  no\\nway");
  });

  test("put a task's own lines behind its name", () => {
    const line = renderProgressLine({ kind: "log", taskId: "a", level: "INFO", source: "stdout", message: "x\u001b[1m", at: 0 }, paint);
    expect(line.slice(8)).toBe("  a | x\\x1b[1m");
  });
});

describe("events", () => {
  const event = (event_type: string, payload: object) => progressOf({ event_type, time: "2026-01-02T03:04:05.678Z", payload });

  test("a failed attempt that will be repeated is waiting", () => {
    const error = { code: "PLUGIN_EXIT", message: "exit 1" };
    expect(
      event("trace.task.failed", { task: "a", item_index: 3, attempt: 1, error, will_retry: true, reason: "TASK_FAILED", duration_ms: 5 }),
    ).toMatchObject({
      kind: "task",
      taskId: "a[3]",
      state: "WAITING",
      reason: "RETRY_DELAY",
      attempt: 1,
      durationMs: 5,
      message: "PLUGIN_EXIT: exit 1",
    });
  });

  test("the ends of an execution are told; other events are not progress", () => {
    expect(event("trace.execution.cancelled", { reason: "USER_CANCELLED" })).toMatchObject({ kind: "execution", state: "CANCELLED" });
    expect(event("trace.secret.accessed", { task: "a" })).toBeNull();
    expect(progressOf("x")).toBeNull();
  });
});
