// workflow import: where the YAML goes, what stderr says, what is refused; and that results do what their sources did.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, root } from "../product/binary.ts";

const home = new Home();
const fixture = (name: string) => join(root, "tests/fixtures/import", name);

type Note = { severity: string; line: number; column: number; path: string; message: string; hint?: string };
type Answer = { workflows: { id: string; file: string; source: string }[]; notes: Note[] };

describe("where it goes", () => {
  test("stdout has the YAML alone, stderr each note with its line and what to write", async () => {
    const { code, stdout, stderr } = await home.run(["import", fixture("ci.github.yml")]);
    expect(code).toBe(0);
    writeFileSync(home.path("ci.yaml"), stdout);
    expect((await home.run(["validate", "ci.yaml"])).code).toBe(0);
    expect(stderr).toContain(`${fixture("ci.github.yml")}:47:9: warning: jobs.test.strategy.matrix.exclude: `);
    expect(stderr).toContain("  hint: Write the combinations out as forEach");
    expect((await home.run(["import", fixture("ci.github.yml"), "--quiet"])).stderr).toBe("");
  });

  test("--json has workflows and notes, and stderr nothing", async () => {
    const { code, stdout, stderr } = await home.run(["import", fixture("root.crontab"), "--json"]);
    const answer = JSON.parse(stdout) as Answer;
    expect([code, stderr, Object.keys(answer)]).toEqual([0, "", ["workflows", "notes"]]);
    expect(answer.workflows.map(({ id, file }) => [id, file])).toContainEqual(["dump", "dump.yaml"]);
    expect(answer.notes).toContainEqual(expect.objectContaining({ severity: "warning", line: 4, column: 1, path: "MAILTO" }));
    expect(JSON.stringify(answer.notes)).not.toContain("s3cr3t");
  });

  test("- is stdin; several workflows go to stdout as documents", async () => {
    const { code, stdout, stderr } = await home.run(["import", "-", "--from", "cron"], { stdin: "@daily /bin/a\n@daily /bin/b\n" });
    expect([code, stdout.split("---\n").length]).toEqual([0, 2]);
    expect(stderr).toContain("-o FOLDER");
  });

  test("-o writes a file or into a folder, and overwrites with --force only", async () => {
    expect(await home.run(["import", fixture("minimal.github.yml"), "-o", "hello.yaml"])).toMatchObject({ code: 0, stdout: "" });
    const written = readFileSync(home.path("hello.yaml"), "utf8");
    expect(written).toStartWith("id: minimal-github\n");
    writeFileSync(home.path("hello.yaml"), "mine");
    const refused = await home.run(["import", fixture("minimal.github.yml"), "-o", "hello.yaml", "--json"]);
    expect([refused.code, refused.stdout, JSON.parse(refused.stderr)]).toMatchObject([5, "", { error: { code: "ALREADY_EXISTS" } }]);
    expect(readFileSync(home.path("hello.yaml"), "utf8")).toBe("mine");
    expect((await home.run(["import", fixture("minimal.github.yml"), "-o", "hello.yaml", "--force"])).code).toBe(0);
    expect(readFileSync(home.path("hello.yaml"), "utf8")).toBe(written);
  });

  test("several go into a folder, all or none, and each passes validate", async () => {
    expect((await home.run(["import", fixture("user.crontab"), "-o", "jobs"])).code).toBe(0);
    const files = readdirSync(home.path("jobs")).toSorted();
    expect(files).toEqual(["curl-2.yaml", "curl.yaml", "poll.yaml", "weekly.yaml"]);
    expect((await home.run(["validate", ...files.map((file) => `jobs/${file}`)])).code).toBe(0);
    writeFileSync(home.path("weekly.yaml"), "mine");
    expect((await home.run(["import", fixture("user.crontab"), "-o", "."])).code).toBe(5);
    expect(existsSync(home.path("poll.yaml"))).toBe(false);
  });
});

describe("what is refused", () => {
  test.each([
    [["import", "gone.yml"], 4, "FILE_NOT_FOUND"],
    [["import", "nothing.txt"], 2, "USAGE"],
    [["import", "broken.yml"], 3, "WORKFLOW_INVALID"],
    [["import", "broken.yml", "--from", "make"], 2, "USAGE"],
    [["import", "binary.yml", "--from", "github"], 3, "WORKFLOW_INVALID"],
  ] as const)("%j", async (args, code, error) => {
    writeFileSync(home.path("nothing.txt"), "nothing of the kind\n");
    writeFileSync(home.path("broken.yml"), "jobs:\n  a: [\n");
    writeFileSync(home.path("binary.yml"), new Uint8Array([0xff, 0xfe, 0x00]));
    const ended = await home.run([...args, "--json"]);
    expect([ended.code, ended.stdout, JSON.parse(ended.stderr)]).toMatchObject([code, "", { error: { code: error } }]);
  });

  test("a source that is not well-formed says where", async () => {
    writeFileSync(home.path("broken.yml"), "jobs:\n  a: [\n");
    expect((await home.run(["import", "broken.yml"])).stderr).toMatch(/^ {2}broken\.yml:3:1: error\[YAML_SYNTAX\]/m);
  });
});

type Run = { execution: { state: string }; tasks: { taskId: string; state: string; output: { stdout?: string } | null }[] };

/** Imports a source and runs the result. */
async function runImported(
  source: string,
  name: string,
): Promise<{ state: string; tasks: Record<string, string>; stdout: Record<string, string | undefined> }> {
  writeFileSync(home.path(name), source);
  const imported = await home.run(["import", name, "-o", `${name}.workflow.yaml`, "--force"]);
  expect({ code: imported.code, stderr: imported.code === 0 ? "" : imported.stderr }).toEqual({ code: 0, stderr: "" });
  const ran = await home.run(["run", `${name}.workflow.yaml`, "--json"]);
  const { execution, tasks } = JSON.parse(ran.stdout) as Run;
  return {
    state: execution.state,
    tasks: Object.fromEntries(tasks.map((task) => [task.taskId, task.state])),
    stdout: Object.fromEntries(tasks.map((task) => [task.taskId, task.output?.stdout])),
  };
}

describe("results do what their sources did", () => {
  test("steps of GitHub Actions: outputs, skipped steps, failures, always", async () => {
    const steps = [
      '{ id: meta, run: \'echo "tag=v1" >> "$GITHUB_OUTPUT"\' }',
      "{ id: skipped, if: \"steps.meta.outputs.tag == 'v2'\", run: echo no }",
      "{ id: after, run: 'echo \"tag is ${{ steps.meta.outputs.tag }} ${{ steps.skipped.outputs.x }}\"' }",
      "{ id: breaks, run: exit 3 }",
      "{ id: onfail, if: failure(), run: echo failed }",
      "{ id: never, run: echo never }",
      '{ id: last, if: always(), run: \'echo "${{ steps.breaks.outcome }} ${{ job.status }}" | cut -d" " -f1\' }',
    ];
    const source = `on: push\njobs:\n  a:\n    steps:\n${steps.map((step) => `      - ${step}\n`).join("")}  b:\n    needs: a\n    steps: [{ run: echo b }]\n  c:\n    needs: a\n    if: always() && needs.a.result == 'failure'\n    steps: [{ run: echo c }]\n`;
    const { state, tasks, stdout } = await runImported(source.replace(" ${{ job.status }}", ""), "steps.yml");
    expect(state).toBe("FAILED");
    expect(tasks).toEqual({
      "a-meta": "SUCCESS",
      "a-skipped": "SKIPPED",
      "a-after": "SUCCESS",
      "a-breaks": "FAILED",
      "a-onfail": "SUCCESS",
      "a-never": "SKIPPED",
      "a-last": "SUCCESS",
      b: "SKIPPED",
      c: "SUCCESS",
    });
    expect([stdout["a-after"], stdout["a-last"]]).toEqual(["tag is v1", "failure"]);
  }, 60_000);

  test("a job that is skipped skips its steps, also those that run always", async () => {
    const source =
      "on: push\njobs:\n  a: { steps: [{ run: exit 1 }] }\n  b:\n    needs: a\n    steps: [{ id: one, run: echo }, { id: two, if: always(), run: echo }]\n  c: { needs: b, steps: [{ run: echo }] }\n  d: { needs: b, if: '!cancelled()', steps: [{ run: echo }] }\n";
    expect((await runImported(source, "jobs.yml")).tasks).toEqual({
      a: "FAILED",
      b: "SKIPPED",
      "b-one": "SKIPPED",
      "b-two": "SKIPPED",
      c: "SKIPPED",
      d: "SUCCESS",
    });
  }, 60_000);

  test("Dagu: outputs, preconditions, positions, lists of arguments, handlers", async () => {
    const steps = [
      "- { name: now, command: echo seven, output: NOW }",
      "- { name: says, command: 'echo \"$NOW $1 ${MODE}\"' }",
      "- { name: words, command: [printf, '%s|', a b, \"it's $MODE\"] }",
      "- { name: met, command: echo met, preconditions: [{ condition: '`echo 5`', expected: 're:[1-5]' }, 'test 1 -eq 1'] }",
      "- { name: unmet, command: echo unmet, precondition: 'false', continueOn: { skipped: true } }",
      "- { name: other, command: echo other, preconditions: [{ condition: '${MODE}', expected: slow }] }",
      "- { name: below, command: echo below }",
    ];
    const source = `params: "first second"\nenv: [{ MODE: fast }]\ntype: chain\nsteps:\n${steps.map((step) => `  ${step}\n`).join("")}handlerOn:\n  success: { command: echo done }\n`;
    const { state, tasks, stdout } = await runImported(source, "chain.yaml");
    expect(state).toBe("SUCCESS");
    expect(tasks).toMatchObject({ met: "SUCCESS", unmet: "SKIPPED", other: "SKIPPED", below: "SKIPPED", "on-success": "SUCCESS" });
    expect([stdout["says"], stdout["words"]]).toEqual(["seven first fast", "a b|it's fast|"]);
  }, 60_000);

  test("a crontab line with standard input", async () => {
    expect((await runImported("A='x  y'\n@daily cat; echo \"$A\"%one%two\n", "cron.txt")).stdout).toEqual({ run: "one\ntwo\nx  y" });
  }, 60_000);
});
