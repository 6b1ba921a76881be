// Conditions, scripts and matrices of GitHub Actions: what their words mean here.
import { describe, expect, test } from "bun:test";
import { importText, only, short, task } from "./import-source.ts";

function job(steps: string, more = ""): string {
  return `on: workflow_dispatch\njobs:\n  j:\n    runs-on: ubuntu-latest\n${more}    steps:\n${steps}`;
}

/** The condition that a job's only step gets. */
function condition(text: string): string | undefined {
  const source = `on:\n  workflow_dispatch:\n    inputs:\n      flag: { type: boolean }\n      name: { type: string }\n      count: { type: number }\nenv: { LEVEL: high }\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{ run: x }]\n  b:\n    needs: a\n    runs-on: ubuntu-latest\n    if: ${JSON.stringify(text)}\n    steps: [{ run: x }]\n`;
  return task(only(source), "b").if;
}

describe("conditions", () => {
  test.each([
    ["inputs.flag", "{{ inputs.flag }}"],
    ["!inputs.flag", "{{ !inputs.flag }}"],
    ["${{ inputs.flag && inputs.name == 'x' }}", "{{ inputs.flag && inputs.name == 'x' }}"],
    ["inputs.name", "{{ inputs.name != '' }}"],
    ["inputs.count > 3", "{{ inputs.count > 3 }}"],
    ["inputs.name == 'it''s'", "{{ inputs.name == 'it\\'s' }}"],
    ["github.event.inputs.name != ''", "{{ inputs.name != '' }}"],
    ["env.LEVEL == 'high'", "{{ 'high' == 'high' }}"],
    ["always()", "{{ always() }}"],
    ["failure() && (inputs.flag || inputs.name == 'x')", "{{ failure() && (inputs.flag || inputs.name == 'x') }}"],
    ["!cancelled()", "{{ always() }}"],
    ["failure() || cancelled()", "{{ failure() }}"],
    ["always() && needs.a.result == 'success'", "{{ always() && tasks.a.state == 'SUCCESS' }}"],
    ["always() && needs.a.result != 'failure'", "{{ always() && !(tasks.a.state == 'FAILED') }}"],
    ["contains(inputs.name, 'rc')", "{{ inputs.name.contains('rc') }}"],
    ["startsWith(inputs.name, 'v') && endsWith(inputs.name, '1')", "{{ inputs.name.startsWith('v') && inputs.name.endsWith('1') }}"],
    ['contains(fromJSON(\'["a", "b"]\'), inputs.name)', "{{ inputs.name in ['a', 'b'] }}"],
    [
      "github.event_name == 'schedule'",
      "{{ (trigger.type == 'webhook' ? 'repository_dispatch' : trigger.type == 'workflow' ? 'workflow_call' : trigger.type == 'manual' ? 'workflow_dispatch' : trigger.type == 'cron' ? 'schedule' : trigger.type) == 'schedule' }}",
    ],
  ])("%s", (text, expected) => {
    expect(condition(text)).toBe(expected);
  });

  test.each([
    "github.ref == 'refs/heads/main'",
    "hashFiles('x') != ''",
    "github.event.pull_request.draft",
    "secrets.X != ''",
    "inputs.name ==",
    "vars.X == 'y'",
    "((((((",
  ])("%s has no equivalent: the task is switched off, and a note says so", (text) => {
    const source = `on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    if: ${JSON.stringify(text)}\n    steps: [{ run: x }]\n`;
    expect(task(only(source), "a").if).toBe("{{ false }}");
    expect(importText(source).notes.map(short)).toContain("warning jobs.a.if 5:5");
  });
});

describe("steps", () => {
  test("follow each other; what comes after a conditional one looks past it, and a failure reaches all", () => {
    const workflow = only(
      job(
        "      - run: one\n      - if: inputs.x == 'y'\n        run: two\n      - run: three\n      - if: always()\n        run: four\n      - run: five\n",
      ),
    );
    expect(workflow.tasks.map(({ id, needs, if: when }) => [id, needs, when])).toEqual([
      ["j-step-1", [], undefined],
      ["j-step-2", ["j-step-1"], "{{ '' == 'y' }}"],
      ["j-step-3", ["j-step-2"], "{{ !failure() }}"],
      ["j-step-4", ["j-step-3"], "{{ always() }}"],
      ["j-step-5", ["j-step-3", "j-step-4"], "{{ !failure() }}"],
    ]);
  });

  test("a job whose steps may be skipped has a task that decides for it; dependants look at that one", () => {
    const source = `on: push\njobs:\n  a: { steps: [{ run: x }] }\n  b:\n    needs: a\n    steps:\n      - run: one\n      - { if: failure(), run: two }\n  c: { needs: b, steps: [{ run: x }] }\n`;
    expect(only(source).tasks.map(({ id, needs, if: when }) => [id, needs, when])).toEqual([
      ["a", [], undefined],
      ["b", ["a"], undefined],
      ["b-step-1", ["b"], undefined],
      ["b-step-2", ["b-step-1"], "{{ tasks.b.state == 'SUCCESS' && failure() }}"],
      ["c", ["b", "b-step-1", "b-step-2"], "{{ !failure() && tasks.b.state != 'SKIPPED' }}"],
    ]);
  });

  test("environment, shell, folder, timeout and allowed failure are those of the innermost level", () => {
    const more = "    env: { A: job, B: job }\n    defaults: { run: { shell: sh, working-directory: web } }\n    timeout-minutes: 9\n";
    const steps =
      "      - { run: one }\n      - { run: two, shell: python, working-directory: ./api/, env: { B: step }, timeout-minutes: 2, continue-on-error: true }\n";
    const { tasks } = only(job(steps, more));
    expect(tasks).toMatchObject([
      { inputs: { script: "one", shell: "sh" }, workdir: "web", env: { A: "job", B: "job" }, timeoutMs: 540_000, allowFailure: false },
      { inputs: { script: "two", shell: "python3" }, workdir: "api", env: { A: "job", B: "step" }, timeoutMs: 120_000, allowFailure: true },
    ]);
  });

  test("a shell that does not exist here switches its task off", () => {
    expect(only(job("      - { run: Get-Item, shell: pwsh }\n")).tasks[0]?.if).toBe("{{ false }}");
  });
});

describe("scripts", () => {
  /** Script and environment of a step with this run block. */
  const scriptOf = (run: string): { script: unknown; env: unknown } => {
    const source = `on:\n  workflow_dispatch:\n    inputs: { who: { type: string } }\njobs:\n  j:\n    env: { DIR: out }\n    steps:\n      - run: ${JSON.stringify(run)}\n`;
    const { inputs, env } = task(only(source), "j");
    return { script: inputs["script"], env };
  };

  test.each([
    ["echo {{ inputs.who }} '{{.Names}}'\n", "echo {{ inputs.who }} '{{.Names}}'\n"],
    ["echo ${{ inputs.who }}\n", "echo ${WHO}\n"],
    ['echo "a ${{ inputs.who }} b"', 'echo "a ${WHO} b"'],
    ["echo 'a ${{ inputs.who }} b'", "echo 'a '\"${WHO}\"' b'"],
    ["cat <<EOF\nit's ${{ inputs.who }}\nEOF\necho '${{ inputs.who }}'", "cat <<EOF\nit's ${WHO}\nEOF\necho ''\"${WHO}\"''"],
    ["cat <<'EOF'\n${{ inputs.who }}\nEOF\n", "cat <<'EOF'\n${{ inputs.who }}\nEOF\n"],
    ["# don't\necho ${{ inputs.who }}", "# don't\necho ${WHO}"],
    ["# ${{ inputs.who }} isn't\necho ${{ inputs.who }}", "# ${WHO} isn't\necho ${WHO}"],
    ["ls ${{ env.DIR }}", "ls ${DIR}"],
    ["echo ${{ github.sha }}", "echo ${{ github.sha }}"],
    ['echo "x=1" >> "$GITHUB_OUTPUT"; ls $GITHUB_WORKSPACE', 'echo "x=1" >> "$WORKFLOW_OUTPUT"; ls $WORKSPACE'],
  ])("%j", (run, expected) => {
    expect(scriptOf(run).script).toBe(expected);
  });

  test("a variable's name is taken only once", () => {
    const source =
      "on: push\njobs:\n  j:\n    steps:\n      - run: echo ${{ secrets.KEY }} ${{ env.KEY }} ${{ github.run_id }}\n        env: { KEY: mine, RUN_ID: 7 }\n";
    const workflow = only(source);
    expect(workflow.secrets).toEqual(["KEY"]);
    expect(task(workflow, "j")).toMatchObject({
      inputs: { script: "echo ${KEY_2} ${KEY} ${RUN_ID_2}" },
      env: { KEY: "mine", KEY_2: "{{ secrets.KEY }}", RUN_ID: "7", RUN_ID_2: "{{ execution.id }}" },
    });
  });
});

test("steps of a matrix job become one task, unless one needs more than a script", () => {
  const strategy = "    strategy: { matrix: { v: [1, 2] } }\n";
  const joined = only(job("      - { run: cd a }\n      - { run: exit 0, working-directory: b }\n", strategy));
  expect(joined.tasks).toMatchObject([
    { id: "j", matrix: { v: [1, 2] }, inputs: { script: "# Step 1\n(\ncd a\n)\n# Step 2\n(\ncd b\nexit 0\n)\n" } },
  ]);
  const apart = only(job("      - { run: one, id: first }\n      - { run: two, if: matrix.v == 2 }\n", strategy));
  expect(apart.tasks.map(({ id, matrix, if: when }) => [id, matrix, when])).toEqual([
    ["j-first", { v: [1, 2] }, undefined],
    ["j-step-2", { v: [1, 2] }, "{{ matrix.v == 2 }}"],
  ]);
});

test("jobs without scripts are left out, and what needs them needs what they need", () => {
  const source =
    "on: push\njobs:\n  a: { steps: [{ run: x }] }\n  b: { needs: a, uses: ./other.yml }\n  c: { needs: [b, gone], steps: [{ run: x }] }\n";
  expect(only(source).tasks.map(({ id, needs }) => [id, needs])).toEqual([
    ["a", []],
    ["c", ["a"]],
  ]);
  expect(
    importText(source)
      .notes.map(({ path, message }) => (message.includes('"gone"') ? path : ""))
      .filter((path) => path !== ""),
  ).toEqual(["jobs.c"]);
});
