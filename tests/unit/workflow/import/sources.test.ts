// What a source is, what is refused, and how hostile ones end.
import { describe, expect, test } from "bun:test";
import { limits } from "../../../../src/base/index.ts";
import { importWorkflow } from "../../../../src/workflow/index.ts";
import { cpuMs } from "../check-source.ts";
import { definitions, importText, only, short, task } from "./import-source.ts";

function refusal(action: () => unknown): { code: unknown; diagnostics: string[] } {
  try {
    action();
  } catch (thrown) {
    const { code, details } = thrown as { code: unknown; details?: { diagnostics?: { code: string; line: number }[] } };
    return { code, diagnostics: (details?.diagnostics ?? []).map((found) => `${found.code} ${found.line}`) };
  }
  throw new Error("it was not refused");
}

describe("what a source is", () => {
  test.each([
    ["jobs: { a: { steps: [{ run: x }] } }", "github"],
    ["steps: [echo hi]", "dagu"],
    ['{"steps": ["echo hi"]}', "dagu"],
    ["# jobs:\n0 5 * * * /bin/true\n", "cron"],
    ["@daily /bin/true\n", "cron"],
    ["steps:\n  - script: |\n      0 5 * * * x\n", "dagu"],
  ] as const)("%j", (text, from) => {
    expect(importText(text).from).toBe(from);
  });

  test.each(["", "hello world", "id: a\ntasks: []\n", "jobs: {}\nsteps: []\n", "A=b\n", "the five words here are nothing\n"])(
    "%j is refused as USAGE",
    (text) => {
      expect(refusal(() => importText(text)).code).toBe("USAGE");
    },
  );

  test("--from decides", () => {
    const text = "jobs: { a: { steps: [{ run: x }] } }\nsteps: [echo hi]\n";
    expect(importWorkflow(text, { file: "x", from: "dagu" }).from).toBe("dagu");
    expect(importWorkflow(text, { file: "x", from: "github" }).notes.map(short)).toContain("warning steps 2:1");
  });
});

describe("what cannot be imported", () => {
  test.each([
    ["jobs:\n  a: [\n", "YAML_SYNTAX 3"],
    ["steps:\n  - name: a\n    name: b\n    command: x\n", "YAML_SYNTAX 3"],
    ["steps:\n  - &a [*a]\n", "YAML_LIMIT 2"],
    [`steps: ${"[".repeat(200)}${"]".repeat(200)}\n`, "YAML_LIMIT 1"],
  ])("%#: not well-formed or beyond the bounds", (text, finding) => {
    const { code, diagnostics } = refusal(() => importText(text));
    expect(code).toBe("WORKFLOW_INVALID");
    expect(diagnostics).toContain(finding);
  });

  test("aliases that multiply, bytes that are no text, and files that are too large", () => {
    const lines = Array.from(
      { length: 12 },
      (_, index) =>
        `  k${index}: &a${index} [${Array(9)
          .fill(index === 0 ? "x" : `*a${index - 1}`)
          .join(",")}]`,
    );
    expect(refusal(() => importText(`steps:\n${lines.join("\n")}\n`)).diagnostics[0]).toStartWith("YAML_LIMIT");
    expect(refusal(() => importWorkflow(new Uint8Array([0x73, 0xff, 0xfe]), { file: "x" }))).toMatchObject({ code: "WORKFLOW_INVALID" });
    expect(refusal(() => importText("#".repeat(limits.workflowBytesMax + 1))).diagnostics).toEqual(["YAML_LIMIT 1"]);
  });

  test("nothing that could run, and cycles of needs that leave nothing", () => {
    expect(refusal(() => importText("on: push\njobs:\n  a: { steps: [{ uses: actions/checkout@v4 }] }\n")).code).toBe("WORKFLOW_INVALID");
    expect(refusal(() => importText("steps: []\n")).code).toBe("WORKFLOW_INVALID");
    expect(refusal(() => importWorkflow("# nothing\n", { file: "x", from: "cron" })).code).toBe("WORKFLOW_INVALID");
  });

  test("needs that go in a circle are cut, with a note", () => {
    const imported = importText("steps:\n  - { name: a, command: x, depends: b }\n  - { name: b, command: x, depends: a }\n");
    expect(definitions(imported)[0]?.tasks.flatMap(({ needs }) => needs).length).toBeLessThan(2);
    expect(imported.notes.some(({ severity, message }) => severity === "warning" && message.includes("needs"))).toBe(true);
  });

  test("a large crontab, many unknown keys and long lines end soon", () => {
    expect(cpuMs(() => refusal(() => importText("* * * * * x\n".repeat(limits.importWorkflowsMax + 1))))).toBeLessThan(5000);
    const keys = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join("\n");
    const imported = importText(`steps: [echo]\n${keys}\n`);
    expect(imported.notes.length).toBeLessThanOrEqual(limits.importNotesMax + 1);
    expect(imported.notes.at(-1)?.message).toContain("more notes");
    const spam = `on: push\njobs:\n  a:\n    if: ${"(".repeat(50_000)}\n    steps: [{ run: ${JSON.stringify("${{".repeat(20_000))} }]\n`;
    expect(cpuMs(() => importText(spam))).toBeLessThan(5000);
  });
});

describe("what multiplies", () => {
  const jobs = Array.from({ length: 60 }, (_, index) => {
    const needs = index === 0 ? "" : `needs: [a${index - 1}, b${index - 1}], `;
    return `  a${index}: { if: always(), ${needs}steps: [{ run: x }] }\n  b${index}: { if: always(), ${needs}steps: [{ run: x }] }\n`;
  });
  const outputs = (other: string) => `outputs: { x: "\${{ needs.${other}.outputs.x || needs.${other}.outputs.x }}" }`;
  test.each([
    [
      "variables that double",
      `env:\n  - V0: xxxxxxxx\n${Array.from({ length: 60 }, (_, index) => `  - V${index + 1}: "$V${index}$V${index}"\n`).join("")}steps: [echo]\n`,
    ],
    ["jobs that all need each other", `on: push\njobs:\n${jobs.join("")}`],
    [
      "outputs in a circle",
      `on: push\njobs:\n  a: { needs: b, ${outputs("b")}, steps: [{ run: x }] }\n  b: { needs: a, ${outputs("a")}, steps: [{ run: "echo \${{ needs.a.outputs.x }}" }] }\n`,
    ],
    [
      "long conditions",
      `on: push\njobs:\n  a:\n    if: ${Array(20_000).fill("inputs.a").join(" && ")}\n    steps: [{ run: "echo \${{ ${Array(20_000).fill("inputs.a").join(" || ")} }}" }]\n`,
    ],
    ["expressions that do not close", `on: push\njobs:\n  a:\n    steps: [{ run: ${JSON.stringify("${{".repeat(300_000))} }]\n`],
    ["words before a command", `* * * * * ${"A=b ".repeat(200_000)}\n`],
  ])("%s: bounded", (_, text) => {
    let imported: ReturnType<typeof importText> | null = null;
    expect(cpuMs(() => void (imported = importText(text)))).toBeLessThan(8000);
    expect((imported as ReturnType<typeof importText> | null)?.workflows.length).toBe(1);
  });
});

describe("names", () => {
  test("ids are made valid and unique, whatever the source calls things", () => {
    const workflow = only(
      "name: Ünïted / 東京 & Co\nsteps:\n  - { name: __proto__, command: a }\n  - { name: 東京, command: b }\n  - { name: A b, command: c }\n  - { name: a-b, command: d }\n",
    );
    expect(workflow.id).toBe("united-co");
    expect(workflow.tasks.map(({ id }) => id)).toEqual(["proto__", "step-2", "a-b", "a-b-2"]);
  });

  test("a file without a name gives its own", () => {
    expect(importWorkflow("steps: [echo]\n", { file: "/etc/dags/Daily Load.yaml" }).workflows[0]?.id).toBe("daily-load");
    expect(importWorkflow("steps: [echo]\n", { file: "<stdin>" }).workflows[0]?.id).toBe("stdin");
  });
});

describe("crontabs", () => {
  const one = (text: string) => {
    const imported = importText(text, "crontab");
    return { ...imported, definition: definitions(imported)[0], script: definitions(imported)[0]?.tasks[0]?.inputs["script"] };
  };

  test("percent signs", () => {
    expect(one("* * * * * date +\\%F\n").script).toBe("date +%F\n");
    expect(one("* * * * * mail a@b%one%two\n").script).toBe("{\nmail a@b\n} <<'STDIN'\none\ntwo\nSTDIN\n");
    expect(one("* * * * * mail a@b%STDIN%x\n").script).toBe("{\nmail a@b\n} <<'STDIN_'\nSTDIN\nx\nSTDIN_\n");
  });

  test("a variable holds for the lines below it; its value is never in a note", () => {
    const imported = importText("* * * * * /bin/one\nDB_PASSWORD=hunter2hunter2\n* * * * * /bin/two\n", "crontab");
    expect(definitions(imported).map(({ tasks }) => tasks[0]?.env)).toEqual([{}, { DB_PASSWORD: "hunter2hunter2" }]);
    expect(imported.notes.map(short)).toContain("warning DB_PASSWORD 2:1");
    expect(JSON.stringify(imported.notes)).not.toContain("hunter2");
  });

  test("a user column is told from a command", () => {
    expect(one("0 5 * * * root /bin/true\n").notes.some(({ message }) => message.includes('"root"'))).toBe(true);
    expect(one("0 5 * * * backup /bin/true\n1 1 * * * /bin/x\n").script).toBe("backup /bin/true\n");
    expect(one("# m h dom mon dow user command\n0 5 * * * ada true -x\n").script).toBe("true -x\n");
  });
});

describe("Dagu", () => {
  test("no password of an executor is in a note or in the result", () => {
    const imported = importText(
      "smtp: { host: h, username: u, password: topsecret1 }\nsteps:\n  - { name: m, executor: { type: mail, config: { from: a@b, to: c@d } } }\n  - { name: s, executor: { type: ssh, config: { host: h, user: u, password: topsecret2 } }, command: x }\n",
    );
    expect(JSON.stringify(imported)).not.toContain("topsecret");
  });

  test("an output reaches the steps below it, and those only", () => {
    const imported = importText(
      "type: graph\nsteps:\n  - { name: a, command: date, output: NOW }\n  - { name: b, command: echo $NOW, depends: a }\n  - { name: c, command: echo $NOW }\n",
    );
    const [workflow] = definitions(imported);
    if (workflow === undefined) throw new Error("no workflow");
    expect(task(workflow, "b").env).toEqual({ NOW: "{{ tasks.a.output.stdout }}" });
    expect(task(workflow, "c").env).toEqual({});
    expect(imported.notes.map(short)).toContain("warning steps[2] 5:5");
  });
});
