// What time does to an execution: retries, waits, timeouts; and cancels and losses at any moment.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../src/base/index.ts";
import { runEngineAction } from "../../../src/engine/actions.ts";
import type { TaskRunMachine } from "../../../src/engine/machine.ts";
import { drawDelay } from "../../../src/engine/results.ts";
import type { RetryPolicy } from "../../../src/model/index.ts";
import { begin, failed, PureRun, task } from "./pure-run.ts";

function runWith(retry: RetryPolicy, attempt: number): TaskRunMachine {
  const run = begin([task("a")]).machine.runs.get("a");
  if (run === undefined) throw new Error("no run");
  return { ...run, attempt, task: { ...run.task, definition: { ...run.task.definition, retry } } };
}

describe("retries", () => {
  /** The delays after each of the first attempts. */
  function delays(retry: JsonObject, drawn = 0.5): number[] {
    const run = new PureRun({ tasks: [task("a", { retry })] });
    run.drawn = drawn;
    run.settle();
    const found: number[] = [];
    while (run.machine.runs.get("a")?.state === "RUNNING") {
      run.end("a", failed());
      const due = run.machine.runs.get("a")?.dueAt ?? null;
      if (due === null) break;
      found.push(due - run.now);
      run.wake();
    }
    return found;
  }

  test("max counts attempts; delays are constant, linear or exponential, and capped", () => {
    expect(delays({ max: 1, delay: "1s" })).toEqual([]);
    expect(delays({ max: 4, delay: "1s" })).toEqual([1000, 1000, 1000]);
    expect(delays({ max: 4, delay: "1s", backoff: "linear" })).toEqual([1000, 2000, 3000]);
    expect(delays({ max: 6, delay: "1s", backoff: "exponential" })).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(delays({ max: 6, delay: "1s", backoff: "exponential", maxDelay: "5s" })).toEqual([1000, 2000, 4000, 5000, 5000]);
    expect(delays({ max: 3, backoffSeconds: 2 })).toEqual([2000, 2000]);
  });

  test("jitter draws from zero to the delay, and the drawn time is recorded", () => {
    const retry: RetryPolicy = { max: 3, backoff: "constant", delayMs: 1000, maxDelayMs: 1000, jitter: true };
    for (const drawn of [0, 0.5, 0.999]) expect(drawDelay(runWith(retry, 1), () => drawn)).toBe(1000 * drawn);
    expect(delays({ max: 3, delay: "1s", jitter: true }, 0.25)).toEqual([250, 250]);
    const run = begin([task("a", { retry: { max: 2, delay: "1s", jitter: true } })]).end("a", failed());
    expect(Date.parse(String(run.lastPayload("trace.task.failed")["next_attempt_at"])) - run.now).toBe(500);
    run.drawn = 0.9;
    expect(run.restored().runs.get("a")?.dueAt).toBe(run.now + 500);
  });

  test("a delay never overflows, however many attempts there were", () => {
    const retry: RetryPolicy = { max: 3000, backoff: "exponential", delayMs: 86_400_000, maxDelayMs: 604_800_000, jitter: false };
    expect(drawDelay(runWith(retry, 2000), () => 1)).toBe(604_800_000);
  });

  test("between attempts the task waits, and so does the execution", () => {
    const run = begin([task("a", { retry: { max: 2, delay: "1s" } })]).end("a", failed());
    expect([run.tasks["a"], run.state]).toEqual(["WAITING RETRY_DELAY", "WAITING RETRY_DELAY"]);
    run.advance(999);
    expect(run.running).toEqual([]);
    run.advance(1);
    expect([run.running, run.state]).toEqual([["a"], "RUNNING"]);
    expect(run.end("a").state).toBe("SUCCESS SUCCESS");
    expect(run.machine.runs.get("a")?.error).toBeNull();
  });

  test("codes that another attempt cannot mend are not retried, nor is what says so", () => {
    for (const code of ["TASK_INPUT_INVALID", "PERMISSION_DENIED", "EXPRESSION_ERROR", "PLUGIN_OUTPUT_INVALID"])
      expect(begin([task("a", { retry: { max: 3 } })]).end("a", failed(code)).state).toStartWith("FAILED");
    expect(begin([task("a", { retry: { max: 3 } })]).end("a", failed("PLUGIN_EXIT", false)).state).toBe("FAILED TASK_FAILED");
  });

  test("a due retry without a slot holds nothing else up", () => {
    const run = begin([task("a", { retry: { max: 2, delay: "1s" } }), task("n", { type: "core/wait.for", inputs: { duration: "1s" } })]).end(
      "a",
      failed(),
    );
    run.slots = 0;
    run.advance(1000);
    expect(run.tasks).toEqual({ a: "WAITING RETRY_DELAY", n: "SUCCESS SUCCESS" });
    expect(run.state).toBe("RUNNING");
  });
});

describe("wait.for", () => {
  const wait = (inputs: JsonObject) => task("w", { type: "core/wait.for", inputs });

  test("waits for a duration, and gives the time", () => {
    const run = begin([wait({ duration: "90s" })]);
    expect([run.tasks["w"], run.state]).toEqual(["WAITING TIMER", "WAITING TIMER"]);
    run.wake();
    expect(run.now - run.machine.header.createdAt).toBe(90_000);
    expect(run.machine.runs.get("w")?.output).toEqual({ until: "2026-01-02T03:05:35.000Z" });
    expect(run.state).toBe("SUCCESS SUCCESS");
  });

  test("a time that is past, and no time at all, are over at once", () => {
    expect(begin([wait({ until: "2020-01-01T00:00:00Z" })]).state).toBe("SUCCESS SUCCESS");
    expect(begin([wait({ duration: "0s" })]).state).toBe("SUCCESS SUCCESS");
  });

  test("what is neither a duration nor a time fails", () => {
    const text = { id: "t", type: "string" };
    for (const given of ["soon", "-1s", "400d", "", "9".repeat(100_000)])
      for (const inputs of [{ duration: "{{ inputs.t }}" }, { until: "{{ inputs.t }}" }]) {
        const run = begin([wait(inputs)], { inputs: [text] }, { t: given });
        expect(run.state).toBe("FAILED INVALID_INPUT");
      }
  });

  test("both, or none, fail", () => {
    for (const inputs of [{}, { duration: "1s", until: "2030-01-01T00:00:00Z" }])
      expect(runEngineAction("core/wait.for", inputs, 0)).toMatchObject({ kind: "failed", error: { code: "TASK_INPUT_INVALID" } });
  });
});

describe("log.write and value.set", () => {
  test("log.write writes one line of the engine", () => {
    const run = begin([task("l", { type: "core/log.write", inputs: { message: "n = {{ 1 + 1 }}", level: "WARN" } })]);
    expect(run.logs).toMatchObject([{ task: "l", attempt: 1, level: "WARN", source: "engine", message: "n = 2" }]);
    expect(run.machine.runs.get("l")?.output).toEqual({});
  });

  test("a message that is no text is JSON; one that is too long is cut", () => {
    const inputs = [
      { id: "x", type: "object" },
      { id: "t", type: "string" },
    ];
    const write = (id: string, message: string) => task(id, { type: "core/log.write", inputs: { message } });
    const run = begin([write("l", "{{ inputs.x }}"), write("m", "{{ inputs.t }}")], { inputs }, { x: { a: [1] }, t: "é".repeat(60_000) });
    expect(run.logs[0]?.message).toBe('{"a":[1]}');
    expect(Buffer.byteLength(run.logs[1]?.message ?? "")).toBeLessThanOrEqual(64 * 1024);
  });

  test("value.set gives its inputs, types kept", () => {
    const run = begin([task("v", { type: "core/value.set", inputs: { n: "{{ 2 }}", s: "{{ 2 }} apples", o: { l: [true, null] } } })]);
    expect(run.machine.runs.get("v")?.output).toEqual({ n: 2, s: "2 apples", o: { l: [true, null] } });
    expect(run.events.find((event) => event.type === "trace.task.started")?.payload["runtime"]).toBe("engine");
  });
});

describe("the execution's own timeout", () => {
  const tasks = [task("a"), task("b", { needs: ["a"] })];

  test("stops what runs, cancels what is open, then runs onFailure and finally; FAILED with TIMEOUT", () => {
    const run = begin(tasks, { timeout: "10s", onFailure: [task("on")], finally: [task("fin")] });
    run.advance(10_000);
    expect([run.tasks["a"], run.tasks["b"]]).toEqual(["RUNNING", "PENDING"]);
    run.end("a", failed());
    expect([run.tasks["a"], run.tasks["b"]]).toEqual(["CANCELLED TIMEOUT", "CANCELLED TIMEOUT"]);
    expect(run.running).toEqual(["on"]);
    run.end("on");
    expect(run.end("fin").state).toBe("FAILED TIMEOUT");
    expect(run.lastPayload("trace.execution.failed")).toMatchObject({ error: { code: "EXECUTION_TIMEOUT" }, failed_task: null });
  });

  test("counts from the start, also while the execution waits", () => {
    const run = begin([task("w", { type: "core/wait.for", inputs: { duration: "1h" } })], { timeout: "10s" });
    run.wake();
    expect([run.now - run.machine.header.createdAt, run.state]).toEqual([10_000, "FAILED TIMEOUT"]);
  });

  test("that hits only handlers leaves an earlier failure as it was", () => {
    const run = begin([task("a")], { timeout: "10s", finally: [task("fin")] }).end("a", failed());
    run.advance(300_000);
    run.end("fin");
    expect([run.state, run.tasks["fin"]]).toEqual(["FAILED TASK_FAILED", "CANCELLED TIMEOUT"]);
  });

  test("finally has five minutes; what passes them makes SUCCESS FAILED", () => {
    const run = begin([task("a")], { finally: [task("fin"), task("fin2", { needs: ["fin"] })] }).end("a");
    run.advance(299_999);
    expect(run.machine.stop).toBeNull();
    run.wake();
    run.end("fin");
    expect([run.state, run.tasks["fin2"]]).toEqual(["FAILED TIMEOUT", "CANCELLED TIMEOUT"]);
  });

  test("no retry is promised once everything is being stopped", () => {
    const run = begin([task("a", { retry: { max: 3, delay: "1s" } })], { timeout: "10s" });
    run.advance(10_000).end("a", failed());
    expect(run.typesOf("a")).toEqual(["started", "cancelled"]);
  });
});

describe("cancel", () => {
  test("before the start: nothing of it runs, handlers neither", () => {
    const run = new PureRun({ tasks: [task("a")], onFailure: [task("on")], finally: [task("fin")] });
    run.cancel();
    expect(run.tasks).toEqual({ a: "CANCELLED USER_CANCELLED", on: "CANCELLED USER_CANCELLED", fin: "CANCELLED USER_CANCELLED" });
    expect(run.state).toBe("CANCELLED USER_CANCELLED");
    expect(run.lastPayload("trace.execution.cancelled")["by"]).toBe("user:tester");
  });

  test("in main: finally runs, onFailure does not; a result that came too late does not count", () => {
    const run = begin([task("a"), task("b", { needs: ["a"] })], { onFailure: [task("on")], finally: [task("fin")] });
    run.cancel();
    expect(run.tasks["b"]).toBe("PENDING");
    run.end("a", { fine: true });
    expect(run.tasks["a"]).toBe("CANCELLED USER_CANCELLED");
    expect(run.end("fin").state).toBe("CANCELLED USER_CANCELLED");
    expect(run.tasks["on"]).toBe("SKIPPED CONDITION_FALSE");
  });

  test("while it waits: at once", () => {
    const run = begin([task("w", { type: "core/wait.for", inputs: { duration: "1h" } }), task("r", { retry: { max: 2, delay: "1h" } })]).end(
      "r",
      failed(),
    );
    expect(run.state).toBe("WAITING RETRY_DELAY");
    run.cancel();
    expect([run.tasks["w"], run.tasks["r"], run.state]).toEqual(["CANCELLED USER_CANCELLED", "CANCELLED USER_CANCELLED", "CANCELLED USER_CANCELLED"]);
  });

  for (const [phase, at] of [
    ["onFailure", "on"],
    ["finally", "fin"],
  ] as const)
    test(`in ${phase}: what runs there is stopped`, () => {
      const run = begin([task("a")], { onFailure: [task("on")], finally: [task("fin")] }).end("a", failed());
      if (at === "fin") run.end("on");
      run.cancel().end(at);
      if (at === "on") run.end("fin");
      expect(run.tasks[at]).toBe("CANCELLED USER_CANCELLED");
      expect(run.state).toBe("CANCELLED USER_CANCELLED");
    });

  test("a second one stops the handlers too, and the first gives the name", () => {
    const run = begin([task("a")], { finally: [task("fin")] });
    run.cancel("user:first").end("a");
    expect(run.running).toEqual(["fin"]);
    run.cancel("user:second").end("fin");
    expect([run.state, run.tasks["fin"]]).toEqual(["CANCELLED USER_CANCELLED", "CANCELLED USER_CANCELLED"]);
    expect(run.lastPayload("trace.execution.cancelled")["by"]).toBe("user:first");
  });

  test("handlers that pass their time after a cancel leave it CANCELLED", () => {
    const run = begin([task("a")], { finally: [task("fin")] })
      .cancel()
      .end("a");
    run.advance(300_000).end("fin");
    expect(run.state).toBe("CANCELLED USER_CANCELLED");
  });
});

describe("waiting", () => {
  test("an execution waits only when nothing runs or is ready, for the reason of its first waiting task", () => {
    const tasks = [task("b", { type: "core/wait.for", inputs: { duration: "1m" } }), task("a", { retry: { max: 2, delay: "2m" } }), task("c")];
    const run = begin(tasks);
    expect(run.state).toBe("RUNNING");
    run.end("a", failed());
    expect(run.state).toBe("RUNNING");
    run.end("c");
    expect(run.state).toBe("WAITING RETRY_DELAY");
    run.wake();
    expect(run.state).toBe("WAITING RETRY_DELAY");
    run.wake().end("a");
    expect(run.state).toBe("SUCCESS SUCCESS");
    const own = run.events.map((event) => event.type).filter((type) => type.endsWith(".execution.waiting") || type.endsWith(".resumed"));
    expect(own).toEqual(["trace.execution.waiting", "trace.execution.resumed", "trace.execution.waiting", "trace.execution.resumed"]);
  });
});

/** onLost, max, and what follows. */
const losses: [string | null, number, string[]][] = [
  [null, 1, ["started", "lost", "failed"]],
  [null, 2, ["started", "lost", "started"]],
  ["retry", 1, ["started", "lost", "started"]],
  ["fail", 5, ["started", "lost", "failed"]],
  ["ask", 5, ["started", "lost", "waiting"]],
];
describe("lost attempts", () => {
  for (const [onLost, max, types] of losses)
    test(`onLost ${onLost ?? "not said"}, max ${max}: ${types.join(", ")}`, () => {
      const run = begin([task("a", { ...(onLost === null ? {} : { onLost }), retry: { max } })]).crash();
      expect(run.typesOf("a")).toEqual(types);
      if (types.includes("failed")) expect(run.state).toBe("FAILED CRASH_RECOVERY");
      if (types.includes("waiting")) expect([run.state, run.tasks["a"]]).toEqual(["WAITING OUTCOME_UNKNOWN", "WAITING OUTCOME_UNKNOWN"]);
    });

  test("an explicit retry gives one more beyond max, and only one", () => {
    const run = begin([task("a", { onLost: "retry", retry: { max: 2 } })]).crash();
    run.end("a", failed()).wake();
    expect(run.running).toEqual(["a"]);
    expect(run.machine.runs.get("a")?.attempt).toBe(3);
    expect(run.end("a", failed()).state).toBe("FAILED TASK_FAILED");
    expect(
      begin([task("a", { onLost: "retry" })])
        .crash()
        .crash().state,
    ).toBe("FAILED CRASH_RECOVERY");
  });

  test("while everything is being stopped they are cancelled, not tried again", () => {
    const run = begin([task("a", { retry: { max: 5 } }), task("b")]);
    run.cancel().crash();
    expect(run.tasks).toEqual({ a: "CANCELLED USER_CANCELLED", b: "CANCELLED USER_CANCELLED" });
    expect(run.state).toBe("CANCELLED USER_CANCELLED");
  });

  test("a loss is allowed to fail where failure is", () => {
    const run = begin([task("a", { allowFailure: true }), task("b", { needs: ["a"] })]).crash();
    expect([run.tasks["a"], run.running]).toEqual(["FAILED CRASH_RECOVERY", ["b"]]);
  });
});

describe("a wait with a timeout of its own", () => {
  const wait = (duration: string, timeout: string) =>
    task("w", { type: "core/wait.for", inputs: { duration }, timeout, retry: { max: 2, delay: "1s" } });

  test("fails with TASK_TIMEOUT when the timeout comes first, and is tried again", () => {
    const run = begin([wait("2s", "200ms")]);
    run.wake();
    expect(run.tasks).toEqual({ w: "WAITING RETRY_DELAY" });
    run.wake().wake();
    expect([run.state, run.tasks]).toEqual(["FAILED TIMEOUT", { w: "FAILED TIMEOUT" }]);
  });

  test("succeeds when what it waits for comes first", () => {
    const run = begin([wait("200ms", "2s")]);
    run.wake();
    expect(run.state).toBe("SUCCESS SUCCESS");
  });
});

test("finally sees onFailure tasks that will not run as SKIPPED", () => {
  const finallyTask = { type: "core/value.set", inputs: { seen: "{{ tasks.alert.state }}" } };
  const run = begin([task("a")], { onFailure: [task("alert")], finally: [task("look", finallyTask)] }).end("a");
  expect(run.machine.runs.get("look")?.output).toEqual({ seen: "SKIPPED" });
  expect(run.state).toBe("SUCCESS SUCCESS");
});
