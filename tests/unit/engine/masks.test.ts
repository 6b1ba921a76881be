import { expect, test } from "bun:test";
import { begin, failed, PureRun, shape, task } from "./pure-run.ts";
import { Masks } from "../../../src/engine/masks.ts";

const token = "s3cr3t-T0ken";

function run(tasks: Parameters<typeof begin>[0], more: Parameters<typeof begin>[1] = {}): PureRun {
  const pure = new PureRun({ tasks, secrets: ["TOKEN"], ...more });
  pure.secrets["TOKEN"] = token;
  return pure.settle();
}

test("[WF-09] [WF-20] an output is shown masked, and the next task reads the true one", () => {
  const pure = run([
    task("one", { env: { T: "{{ secrets.TOKEN }}" } }),
    task("two", { needs: ["one"], env: { U: "{{ tasks.one.output.stdout }}" } }),
  ]);
  expect(pure.starts[0]?.env).toEqual({ T: token });
  pure.end("one", { exitCode: 0, stdout: `it is ${token}` });
  expect(pure.lastPayload("trace.task.succeeded")).toMatchObject({ output: { exitCode: 0, stdout: "it is ***" }, sealed: true });
  expect(pure.sealed).toContainEqual({ task: "one", itemIndex: null, member: "output", value: { exitCode: 0, stdout: `it is ${token}` } });
  expect(pure.starts[1]?.env).toEqual({ U: `it is ${token}` });
  expect(JSON.stringify(pure.events)).not.toContain(token);
  expect(JSON.stringify(shape(pure.restored()))).toContain(token);
});

test("[WF-20] each access has an event, without the value, on the attempt's span; another attempt reads again", () => {
  const pure = run([task("one", { retry: { max: 2, delay: "1s" }, env: { T: "{{ secrets.TOKEN }}" } })]);
  pure.secrets["TOKEN"] = "another-value";
  pure.end("one", failed()).wake();
  expect(pure.starts.map((start) => start.env["T"])).toEqual([token, "another-value"]);
  const accessed = pure.events.filter((event) => event.type === "trace.secret.accessed");
  expect(accessed.map(({ payload }) => [payload["task"], payload["attempt"], payload["name"]])).toEqual([
    ["one", 1, "TOKEN"],
    ["one", 2, "TOKEN"],
  ]);
  // Both are masked from then on.
  pure.end("one", { a: token, b: "another-value" });
  expect(pure.lastPayload("trace.task.succeeded")["output"]).toEqual({ a: "***", b: "***" });
});

test("[WF-09] errors of tasks and of expressions are masked, and what is ours in them stays", () => {
  const pure = run([task("one", { env: { T: "{{ secrets.TOKEN }}" } })]);
  const error = { code: token, kind: "failed" as const, message: `no ${token}`, details: { [token]: [token], n: 1 }, hint: token };
  pure.end("one", { ok: false, error, retryable: false });
  expect(pure.lastPayload("trace.execution.failed")["error"]).toEqual({
    code: "***",
    kind: "failed",
    message: "no ***",
    details: { "***": ["***"], n: 1 },
    hint: "***",
  });
});

test("names, states and kinds stay whole when a secret is equal to one of them", () => {
  const pure = new PureRun({ tasks: [task("fetch", { env: { T: "{{ secrets.A }}{{ secrets.B }}{{ secrets.C }}" } })], secrets: ["A", "B", "C"] });
  Object.assign(pure.secrets, { A: "fetch", B: "PLUGIN_EXIT", C: "network" });
  pure.settle().end("fetch", failed("PLUGIN_EXIT", false));
  expect(pure.lastPayload("trace.task.failed")).toMatchObject({ task: "fetch", error: { code: "PLUGIN_EXIT" } });
  const masks = new Masks();
  masks.add(["network", "api.example.com"]);
  expect(masks.denial({ kind: "network", target: "api.example.com:443", rule: "connect", grant: 'network: ["api.example.com:443"]' })).toEqual({
    kind: "network",
    target: "***:443",
    rule: "connect",
    grant: '***: ["***:443"]',
  });
  expect(masks.permissions({ network: ["api.example.com:443"], refused: [{ kind: "network", entry: "api.example.com", by: "network" }] })).toEqual({
    network: ["***:443"],
    refused: [{ kind: "network", entry: "***", by: "network" }],
  });
});

test("a secret that is gone fails the task that needs it, with all names, before it starts", () => {
  const pure = new PureRun({ tasks: [task("one", { env: { T: "{{ secrets.TOKEN }}" } })], secrets: ["TOKEN"] }).settle();
  expect(pure.lastPayload("trace.task.failed")).toMatchObject({ attempt: null, error: { code: "SECRETS_MISSING" }, will_retry: false });
  expect(pure.starts).toEqual([]);
});

test("engine actions: a log line, an output, an error and the workflow's outputs", () => {
  const pure = run(
    [
      { id: "say", type: "core/log.write", inputs: { message: "a {{ secrets.TOKEN }} b" } },
      { id: "set", type: "core/value.set", inputs: { v: "{{ secrets.TOKEN }}" } },
      { id: "wait", type: "core/wait.for", inputs: { duration: "{{ secrets.TOKEN }}" } },
    ],
    { outputs: { v: "{{ tasks.set.output.v }}" } },
  );
  expect(pure.logs.map((line) => line.message)).toEqual(["a *** b"]);
  expect(pure.machine.runs.get("set")?.output).toEqual({ v: token });
  expect(pure.machine.runs.get("set")?.shown).toEqual({ v: "***" });
  expect(JSON.stringify(pure.events)).not.toContain(token);
  const good = run([{ id: "set", type: "core/value.set", inputs: { v: "{{ secrets.TOKEN }}" } }], { outputs: { v: "{{ tasks.set.output.v }}" } });
  expect(good.lastPayload("trace.execution.succeeded")).toMatchObject({ outputs: { v: "***" }, sealed: true });
  expect(good.sealed.at(-1)).toEqual({ task: null, itemIndex: null, member: "outputs", value: { v: token } });
});

test("values that cannot be opened are never replaced by what is shown for them: all that is left fails", () => {
  const pure = run([
    task("one", { env: { T: "{{ secrets.TOKEN }}" } }),
    task("two", { needs: ["one"], if: "{{ tasks.one.output.stdout == '***' }}" }),
  ]);
  pure.machine.sealProblem = { code: "SECRET_KEY_WRONG", kind: "integrity", message: "another key" };
  pure.end("one", { exitCode: 0, stdout: token });
  expect(pure.tasks["two"]).toStartWith("FAILED");
  expect(pure.lastPayload("trace.execution.failed")["error"]).toMatchObject({ code: "SECRET_KEY_WRONG" });
});
