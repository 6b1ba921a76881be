// What follows from which state: order, skips, conditions, failures, handlers.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../src/base/index.ts";
import { decideNext } from "../../../src/engine/decide.ts";
import { stopMachine } from "../../../src/engine/machine.ts";
import { decideResult } from "../../../src/engine/results.ts";
import { canMove, taskStates } from "../../../src/model/index.ts";
import { begin, failed, PureRun, task } from "./pure-run.ts";

describe("states", () => {
  test("terminal states never change", () => {
    for (const from of ["SUCCESS", "FAILED", "CANCELLED", "SKIPPED"] as const) for (const to of taskStates) expect(canMove(from, to)).toBe(false);
  });

  test("an event that would change a terminal task is refused", () => {
    const run = begin([task("a"), task("b")]).end("a");
    const again = run.events.find((event) => event.type === "trace.task.started" && event.payload["task"] === "a");
    expect(() => run.take({ events: again === undefined ? [] : [again], starts: [], logs: [] })).toThrow(
      expect.objectContaining({ code: "INTERNAL" }),
    );
  });

  test("an ended execution decides nothing more, whatever comes", () => {
    const run = begin([task("a")]).end("a");
    const count = run.events.length;
    run.cancel().advance(1_000_000).crash();
    expect([run.state, run.events.length]).toEqual(["SUCCESS SUCCESS", count]);
  });

  test("a result of an attempt that is not the current one changes nothing", () => {
    const pure = begin([task("a", { retry: { max: 2 } })]).crash();
    const run = pure.machine.runs.get("a");
    if (run === undefined) throw new Error("no run");
    const late = { run, result: { ok: true as const, output: {} }, end: { durationMs: 1, logSha256: "0".repeat(64), logLines: 0 } };
    expect(decideResult(pure.machine, pure.context, { ...late, attempt: 1 }).events).toEqual([]);
    pure.end("a");
    expect(decideResult(pure.machine, pure.context, { ...late, attempt: 2 }).events).toEqual([]);
  });
});

const anyInput = { inputs: [{ id: "o", type: "object" }] };

test("a cancel between the last task and the end still ends the execution", () => {
  const pure = begin([task("a")]);
  const run = pure.machine.runs.get("a");
  if (run === undefined) throw new Error("no run");
  const end = { durationMs: 1, logSha256: "0".repeat(64), logLines: 0 };
  pure.take(decideResult(pure.machine, pure.context, { run, attempt: 1, result: { ok: true, output: {} }, end }));
  expect([pure.machine.phase, pure.state]).toEqual(["end", "RUNNING"]);
  stopMachine(pure.machine, { reason: "USER_CANCELLED", by: "user:late" });
  expect(decideNext(pure.machine, pure.context).events.map((event) => event.type)).toEqual(["trace.execution.cancelled"]);
});

describe("skips", () => {
  test("a false condition skips; what needs the skipped task is skipped for it, through chains", () => {
    const run = begin([task("a", { if: "{{ 1 > 2 }}" }), task("b", { needs: ["a"] }), task("c", { needs: ["b"] }), task("d")]).end("d");
    expect(run.tasks).toEqual({ a: "SKIPPED CONDITION_FALSE", b: "SKIPPED DEPENDENCY_FAILED", c: "SKIPPED DEPENDENCY_FAILED", d: "SUCCESS SUCCESS" });
    expect(run.state).toBe("SUCCESS SUCCESS");
  });

  test("a failure stops its dependants only; other branches finish", () => {
    const run = begin([task("a"), task("b", { needs: ["a"] }), task("x"), task("y", { needs: ["x"] })]);
    run.end("a", failed()).end("x");
    expect(run.running).toEqual(["y"]);
    run.end("y");
    expect(run.tasks).toEqual({ a: "FAILED TASK_FAILED", b: "SKIPPED DEPENDENCY_FAILED", x: "SUCCESS SUCCESS", y: "SUCCESS SUCCESS" });
    expect(run.state).toBe("FAILED TASK_FAILED");
    expect(run.lastPayload("trace.execution.failed")["failed_task"]).toBe("a");
  });

  test("a skipped task's output is null, and its state can be read", () => {
    const reader = { type: "core/value.set", needs: ["a"], if: "{{ always() }}", inputs: { of: "{{ tasks.a.output }}" } };
    const run = begin([task("a", { if: "{{ false }}" }), task("b", reader)], {
      outputs: { state: "{{ tasks.a.state }}", of: "{{ tasks.b.output }}" },
    });
    expect(run.machine.outputs).toEqual({ state: "SKIPPED", of: { of: null } });
  });

  test("a condition that cannot be evaluated fails its task, without an attempt", () => {
    const run = begin([task("a", { if: "{{ inputs.o.none == 1 }}" })], anyInput, { o: {} });
    expect(run.tasks).toEqual({ a: "FAILED EXPRESSION_ERROR" });
    expect(run.typesOf("a")).toEqual(["failed"]);
    expect(run.lastPayload("trace.task.failed")["attempt"]).toBeNull();
    expect(run.state).toBe("FAILED EXPRESSION_ERROR");
  });

  test("inputs that cannot be evaluated fail the task, and are not tried again", () => {
    const run = begin([task("a", { env: { X: "{{ inputs.o.none }}" }, retry: { max: 5 } })], anyInput, { o: {} });
    expect(run.typesOf("a")).toEqual(["failed"]);
  });
});

/** What b does after a ended so, with this condition; c needs b and asks failure(). */
const status: [string, "ok" | "failed" | "allowed" | "skipped", string, string][] = [
  ["success()", "ok", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["success()", "failed", "SKIPPED CONDITION_FALSE", "RUNNING"],
  ["success()", "allowed", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["success()", "skipped", "SKIPPED CONDITION_FALSE", "SKIPPED CONDITION_FALSE"],
  ["failure()", "ok", "SKIPPED CONDITION_FALSE", "SKIPPED CONDITION_FALSE"],
  ["failure()", "failed", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["failure()", "allowed", "SKIPPED CONDITION_FALSE", "SKIPPED CONDITION_FALSE"],
  ["failure()", "skipped", "SKIPPED CONDITION_FALSE", "SKIPPED CONDITION_FALSE"],
  ["always()", "ok", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["always()", "failed", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["always()", "skipped", "RUNNING", "SKIPPED CONDITION_FALSE"],
  ["1 < 2", "failed", "SKIPPED DEPENDENCY_FAILED", "RUNNING"],
  ["1 < 2", "skipped", "SKIPPED DEPENDENCY_FAILED", "SKIPPED CONDITION_FALSE"],
];
describe("success(), failure() and always() speak of what a task needs", () => {
  for (const [condition, before, b, c] of status)
    test(`${condition} after a need that is ${before}`, () => {
      const a = task("a", { ...(before === "skipped" ? { if: "{{ false }}" } : {}), allowFailure: before === "allowed" });
      const run = begin([a, task("b", { needs: ["a"], if: `{{ ${condition} }}` }), task("c", { needs: ["b"], if: "{{ failure() }}" })]);
      if (before !== "skipped") run.end("a", before === "ok" ? {} : failed());
      expect(run.tasks["b"]).toBe(b);
      if (b === "RUNNING") run.end("b");
      expect(run.tasks["c"]).toBe(c);
    });
});

describe("allowFailure", () => {
  test("a failure that is allowed counts as done: dependants run, the execution succeeds", () => {
    const run = begin([task("a", { allowFailure: true }), task("b", { needs: ["a"] })]).end("a", failed());
    expect(run.running).toEqual(["b"]);
    expect(run.end("b").state).toBe("SUCCESS SUCCESS");
    expect(run.tasks["a"]).toBe("FAILED TASK_FAILED");
  });
});

const reasons: [string, string][] = [
  ["PLUGIN_EXIT", "TASK_FAILED"],
  ["TASK_TIMEOUT", "TIMEOUT"],
  ["PERMISSION_DENIED", "PERMISSION_DENIED"],
  ["TASK_INPUT_INVALID", "INVALID_INPUT"],
  ["EXPRESSION_ERROR", "EXPRESSION_ERROR"],
  ["INTERNAL", "INTERNAL"],
  ["SOMETHING_OF_A_PLUGIN", "TASK_FAILED"],
];
test("the execution carries the reason of the task that ended it", () => {
  for (const [code, reason] of reasons) expect(begin([task("a")]).end("a", failed(code, false)).state).toBe(`FAILED ${reason}`);
});

describe("handlers", () => {
  const handlers = { onFailure: [task("on", { needs: [] })], finally: [task("fin")] };

  test("onFailure runs when the execution failed, then finally; onFailure changes nothing", () => {
    const run = begin([task("a")], handlers).end("a", failed());
    expect(run.running).toEqual(["on"]);
    run.end("on", failed());
    expect(run.running).toEqual(["fin"]);
    run.end("fin");
    expect(run.state).toBe("FAILED TASK_FAILED");
    expect(run.lastPayload("trace.execution.failed")["failed_task"]).toBe("a");
    expect(run.tasks["on"]).toBe("FAILED TASK_FAILED");
  });

  test("onFailure is skipped where nothing failed; finally runs all the same", () => {
    const run = begin([task("a")], handlers).end("a");
    expect(run.running).toEqual(["fin"]);
    expect(run.end("fin").state).toBe("SUCCESS SUCCESS");
    expect(run.tasks["on"]).toBe("SKIPPED CONDITION_FALSE");
  });

  test("a failure in finally makes SUCCESS FAILED, and its outputs are gone", () => {
    const run = begin([task("a")], { ...handlers, outputs: { x: 1 } })
      .end("a")
      .end("fin", failed());
    expect(run.state).toBe("FAILED TASK_FAILED");
    expect(run.lastPayload("trace.execution.failed")["failed_task"]).toBe("fin");
    expect(run.machine.outputs).toBeNull();
  });

  test("a failure in finally that is allowed does not", () => {
    const run = begin([task("a")], { finally: [task("fin", { allowFailure: true })] });
    expect(run.end("a").end("fin", failed()).state).toBe("SUCCESS SUCCESS");
  });

  test("the first failure names the execution, not the one in finally", () => {
    const run = begin([task("a")], { finally: [task("fin")] });
    run.end("a", failed("TASK_TIMEOUT")).end("fin", failed());
    expect(run.state).toBe("FAILED TIMEOUT");
  });

  test("handlers see the error, and ask success() and failure() of the execution", () => {
    const write = { type: "core/value.set", inputs: { code: "{{ execution.error.code }}", state: "{{ tasks.a.state }}" } };
    const run = begin([task("a")], {
      finally: [task("bad", { ...write, if: "{{ failure() }}" }), task("good", { ...write, if: "{{ success() }}" })],
    });
    run.end("a", failed("NO_LUCK"));
    expect(run.machine.runs.get("bad")?.output).toEqual({ code: "NO_LUCK", state: "FAILED" });
    expect(run.tasks["good"]).toBe("SKIPPED CONDITION_FALSE");
  });

  test("task runs of handlers begin after all of main, by their own needs", () => {
    const run = begin([task("a"), task("b")], { finally: [task("z", { needs: ["y"] }), task("y")] });
    run.end("a");
    expect(run.running).toEqual(["b"]);
    run.end("b");
    expect(run.running).toEqual(["y"]);
    expect(run.end("y").running).toEqual(["z"]);
  });
});

describe("outputs", () => {
  test("are evaluated on success, and keep types", () => {
    const outputs = { n: "{{ tasks.a.output.n }}", text: "n is {{ tasks.a.output.n }}", list: ["{{ inputs.x }}"] };
    const run = begin([task("a")], { outputs, inputs: [{ id: "x", type: "integer" }] }, { x: 7 }).end("a", { n: 3 });
    expect(run.machine.outputs).toEqual({ n: 3, text: "n is 3", list: [7] });
  });

  test("that cannot be evaluated make the execution FAILED", () => {
    const run = begin([task("a")], { outputs: { n: "{{ tasks.a.output.missing }}" } }).end("a", {});
    expect(run.state).toBe("FAILED EXPRESSION_ERROR");
    expect(run.lastPayload("trace.execution.failed")["failed_task"]).toBeNull();
  });

  test("of a task are put over its result, may name it, and other tasks", () => {
    const outputs: JsonObject = { twice: "{{ tasks.b.output.n * 2 }}", other: "{{ tasks.a.output.n }}" };
    const run = begin([task("a"), task("b", { needs: ["a"], outputs })])
      .end("a", { n: 1 })
      .end("b", { n: 21, kept: true });
    expect(run.machine.runs.get("b")?.output).toEqual({ n: 21, kept: true, twice: 42, other: 1 });
  });

  test("of a task that are not I-JSON, or too large, fail it without another try", () => {
    const run = (output: JsonObject) => begin([task("a", { retry: { max: 3 } })]).end("a", output);
    expect(run({ n: Number.POSITIVE_INFINITY }).lastPayload("trace.task.failed")).toMatchObject({
      error: { code: "OUTPUT_INVALID" },
      will_retry: false,
    });
    expect(run({ text: "x".repeat(1024 * 1024) }).lastPayload("trace.task.failed")).toMatchObject({
      error: { code: "OUTPUT_INVALID" },
      will_retry: false,
    });
    expect(run({ text: "\ud800" }).machine.runs.get("a")?.output).toEqual({ text: "\ufffd" });
  });
});

test("without a free slot engine actions and skips go on, processes wait", () => {
  const run = new PureRun({ tasks: [task("a"), task("b", { type: "core/value.set", inputs: { x: 1 } }), task("c", { if: "{{ false }}" })] });
  run.slots = 0;
  run.settle();
  expect(run.tasks).toEqual({ a: "PENDING", b: "SUCCESS SUCCESS", c: "SKIPPED CONDITION_FALSE" });
  run.slots = 1;
  expect(run.settle().running).toEqual(["a"]);
});

test("ties are decided by id", () => {
  const run = new PureRun({ tasks: ["c", "a", "B", "b"].map((id) => task(id)) });
  run.slots = 3;
  run.settle();
  expect(run.starts.map((start) => start.task)).toEqual(["B", "a", "b"]);
});

test("an error of a task is stored small and as I-JSON", () => {
  const error = { code: "BAD", kind: "failed" as const, message: `\ud800${"m".repeat(100_000)}`, details: { huge: "x".repeat(100_000) } };
  const run = begin([task("a")]).end("a", { ok: false, error, retryable: false });
  const stored = run.lastPayload("trace.task.failed")["error"] as JsonObject;
  expect(Buffer.byteLength(JSON.stringify(stored))).toBeLessThan(16 * 1024);
  expect(stored["code"]).toBe("BAD");
  expect(String(stored["message"]).isWellFormed()).toBe(true);
});
