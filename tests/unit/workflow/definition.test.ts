// Checked workflows: the specification's own example, what defaults become, and what the engine gets.
import { describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { coreActions, findCoreAction } from "../../../src/model/index.ts";
import {
  checkInputs,
  compileWorkflow,
  findNearest,
  findSchemaProblem,
  hasTriggers,
  parseWorkflow,
  type Scope,
  unavailableParts,
} from "../../../src/workflow/index.ts";
import { check, cpuMs, definitionOf, findings, short, withTask } from "./check-source.ts";

const example = await Bun.file(join(dirname(import.meta.path), "../../fixtures/workflow/nightly-report.yaml")).text();

describe("the example of the language", () => {
  test("is valid; only the plugin that is not installed is a warning", () => {
    expect(check(example).diagnostics.map(short)).toEqual(["?UNKNOWN_ACTION tasks[2].type 38:11"]);
    const installed = {
      action: "acme/report.build",
      description: "",
      input: { type: "object" },
      output: {},
      idempotent: true,
      runsIn: "process" as const,
      available: true,
    };
    expect(findings(example, { findAction: (name) => (name === installed.action ? installed : null) })).toEqual([]);
  });

  test("becomes one form", () => {
    const definition = definitionOf(example);
    expect(definition.inputs).toEqual([
      { id: "day", type: "string", required: true, sensitive: false, schema: { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\d$" } },
      { id: "limit", type: "integer", required: false, default: 100, sensitive: false, schema: { type: "integer", minimum: 1 } },
    ]);
    expect(definition.timeoutMs).toBe(1_800_000);
    expect(definition.concurrency).toEqual({ limit: 1, onLimit: "queue" });
    expect(definition.triggers.map((trigger) => [trigger.id, trigger.type])).toEqual([
      ["nightly", "cron"],
      ["push", "webhook"],
    ]);
    const [fetch, each, publish] = definition.tasks;
    expect(fetch?.retry).toEqual({ max: 4, backoff: "exponential", delayMs: 1000, maxDelayMs: 60_000, jitter: true });
    expect(fetch?.timeoutMs).toBe(20_000);
    expect(each).toMatchObject({
      action: "core/shell.run",
      inputs: { shell: "sh" },
      forEach: "{{ tasks.fetch.output.body.items }}",
      concurrency: 4,
      env: { ITEM: "{{ item }}", INDEX: "{{ index }}" },
    });
    expect(publish?.allowFailure).toBe(false);
    expect(definition.onFailure[0]?.phase).toBe("onFailure");
    expect(definition.finally[0]?.phase).toBe("finally");
    expect(hasTriggers(definition)).toBe(true);
  });

  test("warns about each part that this version cannot run, at its place", () => {
    const options = { file: "w.yaml", hasFolder: true, findAction: () => null, availability: true };
    const warned = (source: string) => parseWorkflow(source, options).diagnostics.map(short);
    const task = "{ id: a, run: x, matrix: { m: [1] }, cache: { key: k, ttl: 1h }, inputs: { files: { f: 'artifact:1' } } }";
    expect(
      warned(withTask("secrets: [S]\ninputs: [{ id: i, type: string, sensitive: true }]\ntrigger: { type: cron, cron: '@daily' }\n", task)),
    ).toEqual(["?NOT_AVAILABLE_YET tasks[0].cache 6:42"]);
    expect(
      warned(withTask("triggers: [{ id: t, type: cron, cron: '@daily' }]\n", "{ id: a, type: core/approval.request, inputs: { prompt: x } }")),
    ).toEqual(["?NOT_AVAILABLE_YET tasks[0].type 4:14"]);
    expect(warned(withTask(""))).toEqual([]);
    // What cannot be used at all needs no word about what it would do.
    expect(warned(withTask("concurrency: { limit: 1 }\nnope: 1\n"))).toEqual(["UNKNOWN_KEY nope 3:1"]);
    expect(findings(withTask("concurrency: { limit: 1 }\n"))).toEqual([]);
  });

  test("names what this version cannot run", () => {
    expect(unavailableParts(definitionOf(example)).map((part) => part.path)).toEqual(["concurrency"]);
  });
});

/** The whole table, as the textbook has it. */
function alignment(from: string, to: string): number {
  const table: number[][] = [];
  const cell = (row: number, column: number): number => table[row]?.[column] ?? Infinity;
  for (let row = 0; row <= from.length; row += 1) {
    const now: number[] = [row];
    table.push(now);
    for (let column = row === 0 ? 0 : 1; column <= to.length; column += 1) {
      const replaced = cell(row - 1, column - 1) + Number(from[row - 1] !== to[column - 1]);
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const swapped = isSwap ? cell(row - 2, column - 2) + 1 : Infinity;
      now[column] = row === 0 ? column : Math.min(cell(row - 1, column) + 1, cell(row, column - 1) + 1, replaced, swapped);
    }
  }
  return cell(from.length, to.length);
}

describe("forms", () => {
  test("run is core/shell.run", () => {
    const [short, long] = definitionOf(
      "id: w\ntasks:\n  - { id: a, run: 'echo {{.X}}', shell: bash }\n  - { id: b, type: core/shell.run, inputs: { script: 'echo {{.X}}', shell: bash } }\n",
    ).tasks;
    expect({ ...short, id: "" }).toEqual({ ...long, id: "" } as never);
  });

  test("defaults", () => {
    const definition = definitionOf(withTask("trigger: { type: cron, cron: ' 0 2 * * * ' }\n"));
    expect(definition).toMatchObject({
      apiVersion: "v1",
      name: null,
      description: null,
      labels: {},
      enabled: true,
      inputs: [],
      vars: {},
      secrets: [],
      permissions: {},
      concurrency: null,
      timeoutMs: null,
      onFailure: [],
      finally: [],
      outputs: {},
    });
    expect(definition.triggers).toEqual([{ id: "cron", type: "cron", cron: "0 2 * * *", timezone: "UTC", catchUp: "none", inputs: {} }]);
    expect(definition.tasks[0]).toEqual({
      id: "a",
      phase: null,
      action: "core/shell.run",
      needs: [],
      inputs: { script: "x", shell: "sh" },
      env: {},
      retry: { max: 1, backoff: "constant", delayMs: 0, maxDelayMs: 0, jitter: false },
      allowFailure: false,
      runtime: "process",
    });
  });

  test("retry with backoffSeconds, conditions as flags, and single needs once", () => {
    const { tasks } = definitionOf(
      "id: w\ntasks:\n  - { id: a, run: x, if: false, retry: { max: 3, backoffSeconds: 1.5 } }\n  - { id: b, run: x, needs: [a, a] }\n",
    );
    expect(tasks[0]).toMatchObject({ if: "{{ false }}", retry: { max: 3, backoff: "constant", delayMs: 1500 } });
    expect(tasks[1]?.needs).toEqual(["a"]);
  });

  test("an object input's required is a list of its value's members, or says whether it must be given", () => {
    const source = (required: string) =>
      withTask(`inputs:\n  - { id: o, type: object, properties: { a: { type: integer } }, required: ${required} }\n`);
    expect(definitionOf(source("[a]")).inputs[0]).toMatchObject({ required: false, schema: { required: ["a"] } });
    const asFlag = definitionOf(source("true")).inputs[0];
    expect([asFlag?.required, asFlag?.schema["required"]]).toEqual([true, undefined]);
    expect(checkInputs(definitionOf(source("[a]")), { o: {} }).diagnostics.map(({ path }) => path)).toEqual(["inputs.o"]);
    expect(findings(source("[1]"))).toEqual(["WRONG_TYPE inputs[0].required[0] 3:77"]);
    expect(findings(source("a"))).toEqual(["WRONG_TYPE inputs[0].required 3:76"]);
  });

  test("what may be named where", () => {
    expect(
      findings(
        "id: w\npermissions: { env: [TZ] }\ntasks:\n  - { id: a, run: x, outputs: { x: '{{ tasks.a.output.exitCode }}' }, env: { T: '{{ env.TZ }}' } }\n  - { id: m, needs: [a], run: x, matrix: { os: [l, w], n: '{{ tasks.a.output.list }}' }, env: { A: '{{ matrix.os }}', B: '{{ matrix.oss }}' } }\n  - { id: f, needs: [a], run: x, forEach: '{{ item }}', env: { I: '{{ item.a + index }}' } }\nfinally:\n  - { id: h, run: x, env: { A: '{{ tasks.m.state + tasks.f.state + execution.error.message }}' } }\noutputs: { a: '{{ tasks.f.outputs[0] }}' }\n",
      ),
    ).toEqual(["EXPR_UNKNOWN_ROOT tasks[1].env.B 5:126", "EXPR_UNKNOWN_ROOT tasks[2].forEach 6:47"]);
  });

  test("values that expressions give are not judged", () => {
    expect(
      findings(
        withTask(
          "inputs: [{ id: x, type: string }]\n",
          "{ id: a, type: core/log.write, inputs: { message: '{{ inputs.x }}', level: '{{ inputs.x }}' } }",
        ),
      ),
    ).toEqual([]);
    expect(
      findings(withTask("inputs: [{ id: x, type: string }]\n", "{ id: a, type: core/wait.for, inputs: { duration: '{{ inputs.x }}s' } }")),
    ).toEqual([]);
    const sure = {
      action: "acme/a.b",
      description: "",
      input: { type: "object", properties: { n: { type: "integer" }, m: { type: "string", minLength: 99 } } },
      output: {},
      idempotent: true,
      runsIn: "process" as const,
      available: true,
    };
    const source = withTask(
      "inputs: [{ id: x, type: string }]\n",
      "{ id: a, type: acme/a.b, inputs: { n: 'about {{ inputs.x }}', m: 'about {{ inputs.x }}' } }",
    );
    expect(findings(source, { findAction: () => sure })).toEqual(["INPUT_MISMATCH tasks[0].inputs.n 4:43"]);
  });

  test("nearest names", () => {
    expect(findNearest("biuld", ["build", "test"])).toBe("build");
    expect(findNearest("x", ["build", "test"])).toBeNull();
    expect(findNearest("olg", ["lag", "log"])).toBe("log");
    expect(findNearest("sceret", ["section", "secret"])).toBe("secret");
    expect(findNearest("nope", ["type", "name"])).toBeNull();
    expect(findNearest("INPUTS", ["outputs", "inputs"])).toBe("inputs");
  });

  test("the distance counts a swap of neighbours as one slip, whatever band of it is looked at", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(word, word, (written, name) => {
        const allowed = Math.max(1, Math.min(3, Math.floor(written.length / 3)));
        expect(findNearest(written, [name]) === name).toBe(written !== name && alignment(written, name) <= allowed);
      }),
      { numRuns: 3000 },
    );
  });

  test("names are searched only for findings that are shown", () => {
    const tasks = Array.from({ length: 2000 }, (_, index) => `  - { id: build-step-${index}, run: x, needs: [biuld-setp-x${index}] }`);
    expect(cpuMs(() => expect(findings(`id: w\ntasks:\n${tasks.join("\n")}\n`).length).toBe(200))).toBeLessThan(4000);
  }, 30_000);
});

describe("core actions", () => {
  test("schemas can be used, names are unique, and what runs in the engine is the control flow", () => {
    for (const { input, output } of coreActions) expect([findSchemaProblem(input), findSchemaProblem(output)]).toEqual([null, null]);
    expect(new Set(coreActions.map((known) => known.action)).size).toBe(coreActions.length);
    expect(coreActions.filter((known) => !known.available).map((known) => known.action)).toEqual(["core/approval.request"]);
    expect(coreActions.filter((known) => known.runsIn === "engine").map((known) => known.action)).toEqual([
      "core/approval.request",
      "core/log.write",
      "core/value.set",
      "core/wait.for",
      "core/workflow.run",
    ]);
    expect(findCoreAction("core/shell.run")?.runsIn).toBe("process");
    expect(findCoreAction("constructor")).toBeNull();
  });
});

describe("compiled workflows", () => {
  const scope: Scope = {
    roots: { inputs: { x: 1 }, tasks: { a: { output: { exitCode: 0 } } }, vars: {} },
    status: { success: true, failure: false },
  };

  test("dependants, scripts as they stand, and everything else evaluated", () => {
    const compiled = compileWorkflow(
      definitionOf(
        "id: w\ninputs: [{ id: x, type: integer }]\ntasks:\n  - { id: a, run: 'echo {{ inputs.x }}', env: { X: '{{ inputs.x }}' }, inputs: { files: { f: 'artifact:{{ inputs.x }}' } }, outputs: { code: '{{ tasks.a.output.exitCode }}' } }\n  - { id: c, needs: [a], run: x, if: 'failure()' }\n  - { id: b, needs: [a], run: x }\noutputs: { o: '{{ tasks.a.output.exitCode }}' }\n",
      ),
    );
    const a = compiled.tasks.get("a");
    expect(a?.dependents).toEqual(["b", "c"]);
    expect(a?.inputs.evaluate(scope)).toEqual({ script: "echo {{ inputs.x }}", shell: "sh", files: { f: "artifact:1" } });
    expect(a?.env.evaluate(scope)).toEqual({ X: 1 });
    expect(a?.outputs?.evaluate(scope)).toEqual({ code: 0 });
    expect(a?.condition).toBeNull();
    expect(compiled.tasks.get("c")?.condition?.callsStatus).toBe(true);
    expect(compiled.outputs.evaluate(scope)).toEqual({ o: 0 });
  });

  test("[WF-09] names the secrets that a task's inputs and env read, sorted and once; what a script's text looks like is none", () => {
    const compiled = compileWorkflow(
      definitionOf(
        [
          "id: w",
          "secrets: [A, B, C, D]",
          "tasks:",
          "  - id: a",
          "    type: core/value.set",
          "    inputs: { deep: [{ x: 'x {{ secrets.C }} {{ secrets[\"A\"] }}' }], y: '{{ vars.v + secrets.A }}', z: '{{ [1].map(secrets, secrets) }}' }",
          "  - { id: b, run: 'echo {{ secrets.D }}', env: { B: '{{ secrets.B }}', T: 'secrets.C', U: '\\{{ secrets.C }}' } }",
          "  - { id: c, run: x }",
          "vars: { v: 'secrets.D' }",
          "",
        ].join("\n"),
      ),
    );
    expect([...compiled.tasks.values()].map(({ secrets }) => secrets)).toEqual([["A", "C"], ["B"], []]);
    expect(compiled.tasks.get("a")?.secrets).toBe(compiled.tasks.get("a")?.secrets as readonly string[]);
  });

  test("a chain of 2,000 tasks is checked and compiled quickly", () => {
    const tasks = Array.from({ length: 2000 }, (_, index) =>
      index === 0
        ? "  - { id: t0, type: core/value.set, inputs: { v: 1 } }"
        : `  - { id: t${index}, needs: [t${index - 1}], type: core/value.set, inputs: { v: '{{ tasks.t${index - 1}.output.v + ${index} }}', w: '{{ tasks.t0.output.v }}' } }`,
    );
    const source = `id: w\ntasks:\n${tasks.join("\n")}\n`;
    expect(cpuMs(() => expect(compileWorkflow(definitionOf(source)).tasks.size).toBe(2000))).toBeLessThan(3000);
  }, 30_000);

  test("many edges are no quadratic work either", () => {
    const tasks = Array.from(
      { length: 1000 },
      (_, index) =>
        `  - { id: t${index}, run: x, needs: [${Array.from({ length: Math.min(index, 100) }, (_, near) => `t${index - near - 1}`).join(", ")}], env: { A: '{{ ${index === 0 ? "1" : "tasks.t0.state"} }}' } }`,
    );
    expect(cpuMs(() => expect(findings(`id: w\ntasks:\n${tasks.join("\n")}\n`)).toEqual([]))).toBeLessThan(6000);
  }, 60_000);
});
