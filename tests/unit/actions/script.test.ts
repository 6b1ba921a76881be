// core/script.run: real interpreters as children, called directly.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runScript } from "../../../src/actions/script/run.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";

// Each call has a work folder of its own, as each attempt has.
const silent = () => undefined;
const run = (input: JsonObject) => runScript(input, directContext(), silent);

describe("languages", () => {
  test("TypeScript by default, JavaScript and Python, with args, environment and input", async () => {
    const types = "const [a]: string[] = process.argv.slice(2);\nconst input = await Bun.stdin.json();\n";
    const print = "console.log(JSON.stringify({ a, e: process.env.E, n: input.n }));";
    const more = { args: ["x y"], env: { E: "e;$(id)" }, input: { n: [1, "ä"] } };
    const result = { a: "x y", e: "e;$(id)", n: [1, "ä"] };
    expect(await run({ code: types + print, ...more })).toEqual({ exitCode: 0, stdout: `${JSON.stringify(result)}\n`, result });
    expect(await run({ language: "js", code: `const a = process.argv[2]; const input = await Bun.stdin.json();\n${print}`, ...more })).toMatchObject({
      result,
    });
    const python = "import sys, os, json\nprint(json.dumps({'a': sys.argv[1], 'e': os.environ['E'], 'n': json.load(sys.stdin)['n']}))";
    expect(await run({ language: "python", code: python, ...more })).toMatchObject({ exitCode: 0, result });
  });

  test("languages by their long names, script for code, and exactly one of what is run", async () => {
    for (const language of ["typescript", "javascript"]) expect(await run({ language, script: "console.log(1)" })).toMatchObject({ result: 1 });
    expect(await run({ language: "python3", script: "print(2)" })).toMatchObject({ result: 2 });
    for (const input of [{}, { code: "1", script: "1" }, { script: "1", file: "/x.ts" }])
      expect((await rejection(run(input))).code).toBe("TASK_INPUT_INVALID");
  });

  test("a file tells its language by its name", async () => {
    const folder = mkdtempSync(join(tmpdir(), "autokestra-script-"));
    writeFileSync(join(folder, "a.py"), "print(1 + 1)");
    writeFileSync(join(folder, "b"), "console.log(1)");
    expect(await run({ file: join(folder, "a.py") })).toMatchObject({ stdout: "2\n", result: 2 });
    expect((await rejection(run({ file: join(folder, "b") }))).code).toBe("TASK_INPUT_INVALID");
    expect(await run({ file: join(folder, "b"), language: "js" })).toMatchObject({ result: 1 });
    expect((await rejection(run({ file: join(folder, "c.ts") }))).code).toBe("FILE_NOT_FOUND");
    expect((await rejection(run({ file: folder }))).code).toBe("TASK_INPUT_INVALID");
  });
});

describe("results", () => {
  test("$WORKFLOW_RESULT before $WORKFLOW_OUTPUT before the last line; else null", async () => {
    const python = (code: string) =>
      run({ language: "python", code: `import os\ndef put(name, text): open(os.environ[name], 'a').write(text)\n${code}` });
    expect((await python("put('WORKFLOW_RESULT', '[1, 12345678901234567890]'); put('WORKFLOW_OUTPUT', 'a=b'); print(3)"))["result"]).toEqual([
      1,
      "12345678901234567890",
    ]);
    expect((await python("put('WORKFLOW_OUTPUT', 'a=b=c\\n{\"n\": 1}\\n'); print(3)"))["result"]).toEqual({ a: "b=c", n: 1 });
    expect((await python("print('{not json}')"))["result"]).toBeNull();
    expect((await python("pass"))["result"]).toBeNull();
    expect((await rejection(python("put('WORKFLOW_RESULT', '{')"))).code).toBe("PLUGIN_OUTPUT_INVALID");
    expect((await rejection(python("put('WORKFLOW_OUTPUT', 'nothing')"))).code).toBe("PLUGIN_OUTPUT_INVALID");
    expect((await rejection(python("put('WORKFLOW_RESULT', '\"' + 'x' * 2000000 + '\"')"))).code).toBe("TOO_LARGE");
  });

  test("stdout keeps its last part", async () => {
    const { stdout } = (await run({ language: "python", code: "import sys\nsys.stdout.write('ä' * 100001 + 'end')" })) as { stdout: string };
    expect(stdout.endsWith("äend")).toBe(true);
    expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(65_536);
    expect(stdout).not.toContain("\uFFFD");
  });

  test("a code other than 0, a signal and a stop fail with the end of stderr", async () => {
    const error = await rejection(run({ language: "python", code: "import sys\nfor i in range(50): print(i, file=sys.stderr)\nsys.exit(3)" }));
    expect(error).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 3 } });
    expect(String(error.details["stderr"]).split("\n")).toEqual(Array.from({ length: 20 }, (_, index) => String(index + 30)));
    expect(await rejection(run({ language: "python", code: "import os\nos.kill(os.getpid(), 9)" }))).toMatchObject({
      code: "PLUGIN_EXIT",
      details: { signal: "SIGKILL" },
    });
    const context = directContext();
    const marker = join(context.workdir, "started");
    const ended = rejection(
      runScript({ language: "python", code: `import time\nopen(${JSON.stringify(marker)}, 'w').write('x')\ntime.sleep(60)` }, context, silent),
    );
    const deadline = performance.now() + 10_000;
    while (!(await Bun.file(marker).exists()) && performance.now() < deadline) await Bun.sleep(5);
    context.stop();
    expect(await ended).toMatchObject({ code: "PLUGIN_EXIT", details: { signal: "SIGTERM" } });
    expect(readFileSync(marker, "utf8")).toBe("x");
  });
});

test("inputs that say too little or too much; it asks for all that is granted", async () => {
  for (const input of [{}, { code: "1", file: "x.ts" }, { code: "1", input: 1, stdin: "" }] as JsonObject[])
    expect((await rejection(run(input))).code).toBe("TASK_INPUT_INVALID");
  expect(findCoreAction("core/script.run")?.asks).toBeUndefined();
});
