// What people see: findings, SARIF, plans, pictures, formatted sources, the schema for editors.
import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import * as fc from "fast-check";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { isCoded } from "../../../src/base/index.ts";
import { type ActionDescription, diagnosticCodes, findCoreAction, type Permissions } from "../../../src/model/index.ts";
import {
  formatWorkflow,
  planWorkflow,
  renderDiagnostics,
  renderGraph,
  renderPlan,
  renderSarif,
  workflowJsonSchema,
} from "../../../src/workflow/index.ts";
import { check, definitionOf, findings, withTask } from "./check-source.ts";

const example = await Bun.file(join(dirname(import.meta.path), "../../fixtures/workflow/nightly-report.yaml")).text();

describe("findings", () => {
  const source = "id: w\ntasks:\n  - id: a\n    type: core/log.wirte\n    timeout: 30\n";
  const { diagnostics } = check(source);

  test("place, message, source line, caret, hint", () => {
    const text = renderDiagnostics(diagnostics, new Map([["w.yaml", source]]), { colour: false });
    const lines = text.split("\n");
    expect(lines[0]).toStartWith("w.yaml:4:11: error[UNKNOWN_ACTION]: ");
    expect(lines.slice(1, 4)).toEqual(["  4 |     type: core/log.wirte", "    |           ^^^^^^^^^^^^^^", '  hint: Did you mean "core/log.write"?']);
    expect(text).not.toContain("\u001b[");
    expect(renderDiagnostics(diagnostics, new Map(), { colour: true })).toContain("\u001b[");
  });

  test("the caret stands under its place after wide characters, and in long lines", () => {
    const wide = withTask("", `{ id: a, type: core/value.set, inputs: { v: "日本 ${"x".repeat(300)} {{ nope }}" } }`);
    const lines = renderDiagnostics(check(wide).diagnostics, new Map([["w.yaml", wide]]), { colour: false }).split("\n");
    const [, line = "", caret = ""] = lines;
    expect(line.length).toBeLessThan(200);
    expect(line.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("nope");
  });

  test("SARIF 2.1.0", () => {
    const log = renderSarif(diagnostics) as {
      version: string;
      runs: {
        tool: { driver: { rules: { id: string }[] } };
        results: { ruleId: string; ruleIndex: number; level: string; locations: unknown[] }[];
      }[];
    };
    const [run] = log.runs;
    expect(log.version).toBe("2.1.0");
    expect(run?.tool.driver.rules.map((rule) => rule.id)).toEqual(Object.keys(diagnosticCodes));
    for (const result of run?.results ?? []) expect(run?.tool.driver.rules[result.ruleIndex]?.id).toBe(result.ruleId);
    expect(run?.results[0]).toMatchObject({
      ruleId: "UNKNOWN_ACTION",
      level: "error",
      locations: [{ physicalLocation: { artifactLocation: { uri: "w.yaml" }, region: { startLine: 4, startColumn: 11, endColumn: 25 } } }],
    });
  });
});

describe("plans", () => {
  const plugin: ActionDescription = {
    action: "x/y.z",
    description: "",
    input: {},
    output: {},
    idempotent: false,
    runsIn: "process",
    available: true,
  };

  test("the example with inputs", () => {
    const plan = planWorkflow(definitionOf(example), { inputs: { day: "2024-05-06", limit: 5 }, now: Date.UTC(2024, 4, 6) });
    expect(plan.levels).toEqual([["fetch"], ["each"], ["publish"]]);
    expect(plan.tasks[0]?.inputs).toEqual({ url: "https://api.example.com/items?day=2024-05-06&limit=5", headers: { authorization: "Bearer ***" } });
    expect(plan.tasks[2]?.inputs).toEqual({ parts: "{{ tasks.each.outputs.map(o, o.path) }}" });
    expect(plan.triggers).toEqual([
      { id: "nightly", type: "cron", next: ["2024-05-07T00:00:00.000Z", "2024-05-08T00:00:00.000Z", "2024-05-09T00:00:00.000Z"] },
      { id: "push", type: "webhook", next: [] },
    ]);
    expect(plan.notAvailableYet.map((part) => part.path)).toEqual(["concurrency"]);
    expect(plan.refused.map((part) => part.path)).toEqual(["tasks[2].type"]);
    expect(plan.tasks[0]?.asked).toEqual([{ kind: "network", entry: "api.example.com:443", allowed: true, by: "workflow", grant: null }]);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan as never);
    expect(renderPlan(plan)).toContain("https://api.example.com/items?day=2024-05-06&limit=5");
  });

  test("[WF-14] what an action asks for and nobody grants is shown with the line to add, within the server's ceiling too", () => {
    const source = (url: string) =>
      definitionOf(
        `id: w\ninputs: [{ id: u, type: string }]\npermissions: { network: ["*.a.b:443"] }\ntasks: [{ id: t, type: core/http.request, inputs: { url: "${url}" } }, { id: p, type: x/y.z }]\n`,
      );
    const asked = (url: string, ceiling?: Permissions) =>
      planWorkflow(source(url), {
        inputs: null,
        now: 0,
        ...(ceiling === undefined ? {} : { ceiling }),
        findAction: (action) => (action === "x/y.z" ? { ...plugin, asks: () => ({ env: ["TZ"] }) } : findCoreAction(action)),
      }).tasks.map((task) => task.asked);
    const refused = (entry: string, by: string) => ({ kind: "network", entry, allowed: false, by, grant: `network: ["${entry}"]` });
    const ofPlugin = [{ kind: "env", entry: "TZ", allowed: false, by: "workflow", grant: "env: [TZ]" }];
    expect(asked("https://x.c.d/")).toEqual([[refused("x.c.d:443", "workflow")], ofPlugin] as never);
    expect(asked("https://x.a.b/", { network: [] })).toEqual([[refused("x.a.b:443", "server")], ofPlugin] as never);
    expect(asked("{{ inputs.u }}")).toEqual([[], ofPlugin] as never);
    const plan = planWorkflow(source("https://x.c.d/"), { inputs: null, now: 0 });
    expect(renderPlan(plan)).toContain('add network: ["x.c.d:443"]');
  });

  test("without inputs, texts stand as they are; sensitive ones never show", () => {
    expect(planWorkflow(definitionOf(example), { inputs: null, now: 0 }).tasks[0]?.inputs["url"]).toContain("{{ vars.base");
    const definition = definitionOf(
      withTask("inputs: [{ id: pin, type: string, sensitive: true }]\n", "{ id: a, type: core/value.set, inputs: { v: 'x {{ inputs.pin }}' } }"),
    );
    expect(planWorkflow(definition, { inputs: { pin: "1234" }, now: 0 }).tasks[0]?.inputs).toEqual({ v: "x ***" });
  });

  test("[WF-09] what follows from a sensitive input or a secret is masked whole; what the mask would make of it is not told", () => {
    const inputs = {
      sole: "{{ inputs.pin }}",
      joined: "{{ 'a' + inputs.pin }}",
      part: "{{ inputs.open }}: {{ inputs.pin }} {{ secrets.S }}",
      size: "{{ size(inputs.pin) }}",
      member: "{{ inputs.login.user }}",
      indexed: "{{ inputs['pin'] }}",
      all: "{{ inputs }}",
      choice: "{{ inputs.pin.startsWith('12') ? 'yes' : 'no' }}",
      open: "{{ inputs.open + '!' }}",
    };
    const source = `id: w\nsecrets: [S]\ninputs:\n  - { id: pin, type: string, sensitive: true }\n  - { id: login, type: object, sensitive: true }\n  - { id: open, type: string }\ntasks:\n  - { id: a, type: core/value.set, inputs: ${JSON.stringify(inputs)} }\n`;
    const plan = planWorkflow(definitionOf(source), { inputs: { pin: "1234567", login: { user: "7654321" }, open: "hello" }, now: 0 });
    expect(plan.tasks[0]?.inputs).toEqual({
      sole: "***",
      joined: "***",
      part: "hello: *** ***",
      size: "***",
      member: "***",
      indexed: "***",
      all: { pin: "***", login: "***", open: "hello" },
      choice: "***",
      open: "hello!",
    });
    expect(renderPlan(plan) + JSON.stringify(plan)).not.toMatch(/1234567|7654321/);
  });

  test("[WF-09] a sensitive input's text is masked in all that the plan shows, in other inputs too", () => {
    const tasks = [
      "{ id: a, type: core/http.request, inputs: { url: 'https://{{ inputs.pub }}.test/{{ inputs.code }}' } }",
      "{ id: b, run: 'echo hunter-22-secret', if: \"inputs.pub == 'hunter-22-secret'\", env: { A: '{{ inputs.pub }} {{ inputs.pin }}' } }",
    ];
    const head = [
      "permissions: { network: ['*.hunter-22-secret:1'], memoryMb: 1024 }",
      "inputs:",
      ...["pw, type: string, sensitive: true", "code, type: number, sensitive: true", "pub, type: string", "pin, type: string"].map(
        (id) => `  - { id: ${id} }`,
      ),
      "",
    ];
    const definition = definitionOf(withTask(head.join("\n"), tasks.join("\n  - ")));
    const values = { pw: "hunter-22-secret", code: 1024, pub: "hunter-22-secretx", pin: "x1024y" };
    const plan = planWorkflow(definition, { inputs: values, now: 0 });
    expect(plan.tasks[0]?.inputs).toEqual({ url: "https://***x.test/***" });
    expect(plan.tasks[0]?.asked).toMatchObject([{ kind: "network", entry: "***x.test:443", allowed: false, grant: 'network: ["***x.test:443"]' }]);
    expect(plan.tasks[0]?.permissions).toMatchObject({ memoryMb: 1024 });
    expect(plan.tasks[1]).toMatchObject({ if: "inputs.pub == '***'", env: { A: "***x x***y" }, inputs: { script: "echo ***" } });
    expect(renderPlan(plan) + JSON.stringify(plan)).not.toContain("hunter-22");
  });

  test("permissions of a task are those that both blocks allow", () => {
    const definition = definitionOf(
      "id: w\npermissions: { network: ['*.a.b:443', 'c.d:*'], filesystem: { read: [/data], write: [$workspace/out] }, env: [A, B], memoryMb: 100 }\ntasks:\n  - { id: all, run: x }\n  - { id: some, run: x, permissions: { network: ['x.a.b:443', 'c.d:80', 'e.f:1'], filesystem: { read: [/data/in, $workspace/out/x, /etc] }, env: [B], memoryMb: 200 } }\n",
    );
    const [all, some] = planWorkflow(definition, { inputs: null, now: 0 }).tasks;
    expect(all?.permissions).toMatchObject({
      network: ["*.a.b:443", "c.d:*"],
      filesystem: { read: ["/data"], write: ["$workspace", "$workspace/out"] },
      env: ["A", "B"],
      run: true,
      memoryMb: 100,
    });
    expect(some?.permissions).toMatchObject({
      network: ["x.a.b:443", "c.d:80"],
      filesystem: { read: ["/data/in"], write: ["$workspace"] },
      env: ["B"],
      listen: [],
      memoryMb: 100,
    });
    expect(some?.asked).toContainEqual({ kind: "env", entry: "A", allowed: false, by: "task", grant: "env: [A]" });
  });
});

describe("pictures", () => {
  const diamond = definitionOf(
    "id: w\nname: 'a <b> & \"c\"'\ntasks:\n  - { id: top, run: x }\n  - { id: left, needs: [top], run: x }\n  - { id: right, needs: [top], run: x }\n  - { id: end, needs: [left, right], run: x }\nfinally:\n  - { id: tidy, run: x }\n",
  );

  test("a diamond in characters", () => {
    expect(renderGraph(diamond, "ascii").split("\n").slice(0, 17)).toEqual([
      "      ┌─────┐",
      "      │ top │",
      "      └─────┘",
      "         │",
      "    ┌────┴─────┐",
      "    ▼          ▼",
      "┌──────┐   ┌───────┐",
      "│ left │   │ right │",
      "└──────┘   └───────┘",
      "    │          │",
      "    └────┐     │",
      "         ├─────┘",
      "         ▼",
      "      ┌─────┐",
      "      │ end │",
      "      └─────┘",
      "",
    ]);
    expect(renderGraph(diamond, "ascii")).toContain("finally:\n┌──────┐\n│ tidy │");
  });

  test("wide graphs become a list", () => {
    const tasks = Array.from({ length: 40 }, (_, index) => `  - { id: task-number-${index}, run: x }`).join("\n");
    const text = renderGraph(definitionOf(`id: w\ntasks:\n${tasks}\n  - { id: end, needs: [task-number-3], run: x }\n`), "ascii");
    expect(text).toContain("end  ◀─ task-number-3");
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(120);
  });

  test("every task and every need is in every format", () => {
    const mermaid = renderGraph(diamond, "mermaid");
    expect(mermaid.match(/-->/g)?.length).toBe(4);
    for (const id of ["top", "left", "right", "end", "tidy"]) expect(mermaid).toContain(`["${id}<br/>`);
    const dot = renderGraph(diamond, "dot");
    expect(dot.match(/->/g)?.length).toBe(4);
    expect(dot).toStartWith('digraph "w" {');
    const svg = renderGraph(diamond, "svg");
    expect(svg.match(/<rect /g)?.length).toBe(5);
    expect(svg.match(/marker-end/g)?.length).toBe(4);
    expect(svg).toContain("<title>a &lt;b&gt; &amp; &quot;c&quot;</title>");
    expect(svg).not.toMatch(/href|src=|<script|url\((?!#)/);
  });

  test("2,000 tasks are drawn in every format", () => {
    const tasks = Array.from(
      { length: 2000 },
      (_, index) => `  - { id: t${index}, run: x${index === 0 ? "" : `, needs: [t${index - 1}, t0]`} }`,
    ).join("\n");
    const definition = definitionOf(`id: w\ntasks:\n${tasks.replace("[t0, t0]", "[t0]")}\n`);
    for (const format of ["ascii", "mermaid", "dot", "svg"] as const) expect(renderGraph(definition, format).length).toBeGreaterThan(10_000);
  }, 30_000);
});

describe("fmt", () => {
  test("keys stand in the language's order, comments stay, values too", () => {
    const text = formatWorkflow("# about the file\n\n# about tasks\ntasks:\n   - run: x # why\n     # before id\n     id: a\n\n# the id\nid: w\n");
    expect(text).toBe("# about the file\n\n# the id\nid: w\n# about tasks\ntasks:\n  # before id\n  - id: a\n    run: x # why\n");
  });

  test("the example keeps its meaning, and a second pass changes nothing", () => {
    const text = formatWorkflow(example);
    expect(parse(text)).toEqual(parse(example));
    expect(formatWorkflow(text)).toBe(text);
    expect(text.match(/#/g)?.length).toBe(example.match(/#/g)?.length);
    expect(definitionOf(text)).toEqual(definitionOf(example));
  });

  test("JSON stays JSON; sources with aliases keep their order", () => {
    expect(formatWorkflow('{"tasks":[{"run":"x","id":"a"}],"id":"w"}')).toBe(
      '{\n  "id": "w",\n  "tasks": [\n    {\n      "id": "a",\n      "run": "x"\n    }\n  ]\n}\n',
    );
    expect(formatWorkflow("vars: { a: &a 1 }\nid: w\ntasks: [{ id: b, type: core/value.set, inputs: { v: *a } }]\n")).toStartWith("vars: ");
  });

  test("what cannot be parsed is refused with its place", () => {
    try {
      formatWorkflow("id: [a\n");
      expect.unreachable();
    } catch (thrown) {
      expect(isCoded(thrown, "WORKFLOW_INVALID") && thrown.details?.["diagnostics"]).toMatchObject([{ code: "YAML_SYNTAX", line: 2, column: 1 }]);
    }
  });

  test("any well-formed map keeps its value and is stable", () => {
    const key = fc.constantFrom("id", "tasks", "name", "vars", "inputs", "run", "needs", "zzz");
    const text = fc.oneof(
      fc.constantFrom("x", "a: b", "# no", "- x", "two\nlines", " lead", "trail ", "{{ x }}", "yes", "1", "'", '"'),
      fc.string({ maxLength: 8 }).filter((value) => /^[\u0020-\u007e\u00a1-\u1fff]*$/.test(value)),
    );
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(key, tie("node"), { maxKeys: 4 }),
      ),
    })).node;
    fc.assert(
      fc.property(fc.dictionary(key, value, { minKeys: 1, maxKeys: 5 }), (given) => {
        const source = Bun.YAML.stringify(given, null, 3);
        let meant: unknown;
        try {
          meant = parse(source);
        } catch {
          return;
        }
        const formatted = formatWorkflow(source);
        expect(parse(formatted)).toEqual(meant);
        expect(formatWorkflow(formatted)).toBe(formatted);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe("the schema for editors", () => {
  const validate = new Ajv({ allowUnionTypes: true }).compile(workflowJsonSchema());

  test("takes the example, and is the same every time", () => {
    expect(validate(parse(example))).toBe(true);
    expect(workflowJsonSchema()).toEqual(workflowJsonSchema());
  });

  test.each([
    withTask("nmae: x\n"),
    withTask("", "{ id: a }"),
    withTask("", "{ id: a, run: x, type: core/value.set }"),
    withTask("timeout: 30\n"),
    withTask("timeout: soon\n"),
    withTask("triggers: [{ id: a, type: cron }]\n"),
    withTask("trigger: { type: webhook, path: p }\n"),
    withTask("triggers: []\ntrigger: { type: cron, cron: '@daily' }\n"),
    withTask("", "{ id: 9, run: x }"),
    "id: w\ntasks: []\n",
    "tasks: [{ id: a, run: x }]\n",
    withTask("inputs: [{ id: a, type: string, minimum: 1 }]\n"),
  ])("what it refuses, the checks refuse: %s", (source) => {
    expect(validate(parse(source))).toBe(false);
    expect(findings(source).length).toBeGreaterThan(0);
  });
});
