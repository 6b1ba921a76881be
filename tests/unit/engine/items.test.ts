import { expect, test } from "bun:test";
import type { JsonObject } from "../../../src/base/index.ts";
import { begin, failed, type PureRun, shape, task } from "./pure-run.ts";

const each = (more: JsonObject = {}): JsonObject => task("each", { forEach: ["a", "b", "c"], env: { I: "{{ item + string(index) }}" }, ...more });
const started = (run: PureRun) => run.starts.map((start) => `${start.task}[${start.itemIndex}] ${start.env["I"] ?? ""}`);

test("forEach: one run an item, all at once, outputs in item order whatever the order of their ends", () => {
  const run = begin([each(), task("after", { needs: ["each"], env: { O: "{{ tasks.each.outputs.map(o, o.n) }}", S: "{{ tasks.each.state }}" } })]);
  expect(run.events.map((event) => event.type).slice(0, 3)).toEqual(
    ["trace.execution.started", "trace.task.expanded", "trace.task.started"].slice(-3),
  );
  expect(run.lastPayload("trace.task.expanded")).toMatchObject({ task: "each", item_index: null, attempt: null, items: 3 });
  expect(started(run)).toEqual(["each[0] a0", "each[1] b1", "each[2] c2"]);
  run.end("each[2]", { n: 2 }).end("each[0]", { n: 0 });
  expect(run.running).toEqual(["each[1]"]);
  run.end("each[1]", { n: 1 });
  expect(run.starts.at(-1)?.env).toEqual({ O: "[0,1,2]", S: "SUCCESS" });
  expect(shape(run.restored())).toEqual(shape(run.machine));
});

test("concurrency bounds what is under way; a retry keeps its place", () => {
  const run = begin([each({ concurrency: 2, retry: { max: 2, delay: "1s" } })]);
  expect(run.running).toEqual(["each[0]", "each[1]"]);
  run.end("each[0]", failed());
  expect(run.running).toEqual(["each[1]"]);
  run.end("each[1]", {});
  expect(run.running).toEqual(["each[2]"]);
  run.wake();
  expect(run.running).toEqual(["each[0]", "each[2]"]);
  run.end("each[0]", {}).end("each[2]", {});
  expect(run.state).toBe("SUCCESS SUCCESS");
});

test("one failed item fails the task once all have ended, with the failure of the lowest index; allowFailure allows it", () => {
  const run = begin([each(), task("after", { needs: ["each"] })]);
  run.end("each[2]", failed("LATER", false)).end("each[1]", failed("FIRST", false)).end("each[0]", {});
  expect(run.tasks).toEqual({ each: "FAILED TASK_FAILED", after: "SKIPPED DEPENDENCY_FAILED" });
  expect(run.lastPayload("trace.execution.failed")).toMatchObject({ failed_task: "each", error: { code: "FIRST" } });
  const allowed = begin([each({ allowFailure: true }), task("after", { needs: ["each"], env: { O: "{{ tasks.each.outputs }}" } })]);
  allowed.end("each[0]", failed("X", false)).end("each[1]", { n: 1 }).end("each[2]", {});
  expect(allowed.starts.at(-1)?.env).toEqual({ O: '[null,{"n":1},{}]' });
});

test("no items: done at once, with an empty list; what is no list fails", () => {
  const run = begin(
    [task("each", { forEach: "{{ inputs.list }}" }), task("after", { needs: ["each"], env: { N: "{{ size(tasks.each.outputs) }}" } })],
    { inputs: [{ id: "list", type: "array" }] },
    { list: [] },
  );
  expect(run.tasks["each"]).toBe("SUCCESS SUCCESS");
  expect(run.starts.map((start) => start.env)).toEqual([{ N: "0" }]);
  const wrong = begin([task("each", { forEach: "{{ inputs.list }}" })], { inputs: [{ id: "list", type: "object" }] }, { list: {} });
  expect(wrong.lastPayload("trace.execution.failed")).toMatchObject({ error: { code: "EXPRESSION_ERROR" } });
});

test("matrix: every combination, the last axis fastest", () => {
  const run = begin([task("build", { matrix: { os: ["a", "b"], v: [1, 2] }, env: { I: "{{ matrix.os + string(matrix.v) }}" } })]);
  expect(started(run)).toEqual(["build[0] a1", "build[1] a2", "build[2] b1", "build[3] b2"]);
});

test("a condition that reads the item skips single items; another one skips the task", () => {
  const run = begin([each({ if: "{{ index != 1 }}" }), task("after", { needs: ["each"] })]);
  expect(started(run)).toEqual(["each[0] a0", "each[2] c2"]);
  run.end("each[0]", {}).end("each[2]", {});
  expect(run.tasks["each"]).toBe("SUCCESS SUCCESS");
  expect(run.running).toEqual(["after"]);
  expect(begin([each({ if: "{{ index > 5 }}" }), task("after", { needs: ["each"] })]).tasks).toEqual({
    each: "SKIPPED CONDITION_FALSE",
    after: "SKIPPED DEPENDENCY_FAILED",
  });
  const whole = begin([each({ if: "{{ 1 > 2 }}" })]);
  expect([whole.tasks["each"], whole.typesOf("each")]).toEqual(["SKIPPED CONDITION_FALSE", ["skipped"]]);
});

test("a cancel stops what runs, and takes all that never began with one event", () => {
  const run = begin([each({ concurrency: 1 })]);
  run.cancel();
  expect(run.running).toEqual(["each[0]"]);
  run.end("each[0]", {});
  expect(run.events.filter((event) => event.type === "trace.task.cancelled").map(({ payload }) => payload["item_index"])).toEqual([0, null]);
  expect(run.state).toBe("CANCELLED USER_CANCELLED");
  expect(shape(run.restored())).toEqual(shape(run.machine));
});

test("lost items begin again, each with its own attempts", () => {
  const run = begin([each({ retry: { max: 2 } })]);
  run.end("each[1]", {});
  run.crash();
  expect(run.running).toEqual(["each[0]", "each[2]"]);
  expect(run.starts.slice(3).map(({ itemIndex, attempt }) => [itemIndex, attempt])).toEqual([
    [0, 2],
    [2, 2],
  ]);
  run.end("each[0]", {}).end("each[2]", {});
  expect(run.state).toBe("SUCCESS SUCCESS");
});

test("one slot at a time, engine actions without any; the digest knows every item", () => {
  const run = begin([each()]);
  run.end("each[0]", { a: 1 }).end("each[1]", { a: 2 }).end("each[2]", { a: 3 });
  const other = begin([each()]);
  other.end("each[2]", { a: 3 }).end("each[1]", { a: 2 }).end("each[0]", { a: 1 });
  expect(other.machine.digest).toBe(run.machine.digest);
  const third = begin([each()]);
  third.end("each[0]", { a: 1 }).end("each[1]", { a: 3 }).end("each[2]", { a: 2 });
  expect(third.machine.digest).not.toBe(run.machine.digest);
  const set = begin([{ id: "set", type: "core/value.set", forEach: [1, 2], inputs: { n: "{{ item * 2 }}" } }], {
    outputs: { all: "{{ tasks.set.outputs }}" },
  });
  expect(set.lastPayload("trace.execution.succeeded")["outputs"]).toEqual({ all: [{ n: 2 }, { n: 4 }] });
});
