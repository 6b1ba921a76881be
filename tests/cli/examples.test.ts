// The examples, each through the binary: with the permissions that it states, without them, and with those that --learn finds.
import { expect, test } from "bun:test";
import { chownSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseDocument } from "yaml";
import type { Execution, Permissions } from "../../src/model/index.ts";
import { binary, type Ended, Home, root } from "../product/binary.ts";

const names = readdirSync(join(root, "examples")).filter((name) => existsSync(join(root, "examples", name, "workflow.yaml")));
const needed: Record<string, Permissions> = {
  hello: {},
  build: { filesystem: { read: ["./project"] } },
  report: { filesystem: { read: ["./data/orders.csv"], write: ["$workspace"] } },
  plugin: {},
};

/** The others tell of the disk, or make a new commit. */
const repeatable = new Set(["report", "plugin"]);

/** A copy of the examples with a data folder of its own. */
function open(): { home: Home; folder: (name: string) => string } {
  const home = new Home();
  cpSync(join(root, "examples"), home.path("examples"), { recursive: true });
  return { home, folder: (name) => home.path(join("examples", name)) };
}

function executionOf({ code, stdout, stderr }: Ended): Execution {
  if (stdout === "") throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout) as Execution;
}

/** The end of the execution and of each task, with how its attempts were confined. */
function endOf({ execution, tasks }: Execution) {
  const levels = new Set(tasks.flatMap(({ attempts }) => attempts.map(({ sandbox }) => (sandbox as { level: string }).level)));
  return { state: execution.state, failed: tasks.flatMap(({ taskId, error }) => (error === null ? [] : [{ taskId, error }])), levels: [...levels] };
}

const passed: ReturnType<typeof endOf> = { state: "SUCCESS", failed: [], levels: ["strict"] };

test("every example is known here", () => {
  expect(names.toSorted()).toEqual(Object.keys(needed).toSorted());
});

for (const name of names) {
  test(`[WF-14] the example "${name}" runs with everything enforced`, async () => {
    const { home, folder } = open();
    const execution = executionOf(await home.run(["run", "workflow.yaml", "--json"], { cwd: folder(name) }));
    expect(endOf(execution)).toEqual(passed);
    expect(Object.keys(execution.execution.outputs ?? {}).length).toBeGreaterThan(0);
  });

  test(`[WF-14] the example "${name}" passes with the permissions that --learn finds, and with no fewer`, async () => {
    const { home, folder } = open();
    const cwd = folder(name);
    const stated = readFileSync(join(cwd, "workflow.yaml"), "utf8");
    const outputs = executionOf(await home.run(["run", "workflow.yaml", "--json"], { cwd })).execution.outputs;
    const document = parseDocument(stated);
    const isStated = document.delete("permissions");
    writeFileSync(join(cwd, "workflow.yaml"), String(document));

    const bare = endOf(executionOf(await home.run(["run", "workflow.yaml", "--json"], { cwd })));
    expect(bare.state).toBe(isStated ? "FAILED" : "SUCCESS");
    if (isStated) expect(bare.failed[0]?.error.code).toBe("PERMISSION_DENIED");

    const learned = await home.run(["run", "workflow.yaml", "--learn=needs.yaml", "--json"], { cwd });
    expect(endOf(executionOf(learned))).toEqual({ ...passed, levels: ["off"] });
    const block = readFileSync(join(cwd, "needs.yaml"), "utf8");
    const { permissions } = parse(block) as { permissions: Permissions };
    expect(permissions).toEqual(needed[name] ?? {});

    // As people do it: the block as it was printed, remarks and all.
    writeFileSync(join(cwd, "workflow.yaml"), `${String(document)}\n${block}`);
    rmSync(join(cwd, "needs.yaml"));
    const again = executionOf(await home.run(["run", "workflow.yaml", "--json"], { cwd }));
    expect(endOf(again)).toEqual(passed);
    if (repeatable.has(name)) expect(again.execution.outputs).toEqual(outputs);
  });
}

const nobody = 65_534;
const reason = process.getuid?.() === 0 && Bun.which("setpriv") !== null ? "" : " (skipped: needs root and setpriv)";

// The reason stands in the title: who is no root has run them as an ordinary user already.
test.skipIf(reason !== "")(`[WF-14] the examples run for an ordinary user${reason}`, async () => {
  const { home, folder } = open();
  for (const path of [".", ...readdirSync(home.dir, { recursive: true, encoding: "utf8" })]) chownSync(home.path(path), nobody, nobody);
  const drop = ["setpriv", "--reuid", `${nobody}`, "--regid", `${nobody}`, "--clear-groups"];
  for (const name of names) {
    const child = Bun.spawn([...drop, binary, "run", "workflow.yaml", "--json"], {
      cwd: folder(name),
      env: home.env(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    expect({ name, ...endOf(executionOf({ code, signal: null, stdout, stderr })) }).toEqual({ name, ...passed });
  }
});

test("the example plugin passes its own tests", async () => {
  const { home, folder } = open();
  const { code, stderr } = await home.run(["plugin", "test", "plugins/acme/slug"], { cwd: folder("plugin") });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "2 passed, 0 failed.\n" });
});
