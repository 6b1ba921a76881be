// Bare paths of built-ins, defaults of plugins, and what a plan says of them, by the compiled binary.
import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";

const home = new Home();
chmodSync(home.dir, 0o755);

type Run = { execution: { state: string }; tasks: { taskId: string; output: Record<string, unknown>; error: { code: string } | null }[] };

function put(name: string, permissions: object, tasks: object[]): string {
  const folder = home.path(name);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "flow.json"), JSON.stringify({ id: name, permissions, tasks }));
  return folder;
}

async function run(folder: string, ...more: string[]): Promise<Run> {
  const { stdout, stderr } = await home.run(["run", join(folder, "flow.json"), "--json", ...more]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Run;
}
const ends = ({ tasks }: Run) => tasks.map(({ error }) => error?.code ?? "ok");

const chain = [
  { id: "write", type: "core/file.write", inputs: { path: "data/a.csv", content: "n\n1\n" } },
  { id: "read", needs: ["write"], type: "core/csv.read", inputs: { path: "data/a.csv" } },
  { id: "list", needs: ["write"], type: "core/file.list", inputs: {} },
  { id: "query", needs: ["write"], type: "core/sql.query", inputs: { url: "data/x.db", query: "create table t (a)" } },
  { id: "pack", needs: ["write"], type: "core/archive.create", inputs: { paths: "data/a.csv", to: "data/a.zip" } },
];

test("[WF-14] without a grant of the workspace bare paths are the workflow's, and need the grants that ./ paths need", async () => {
  const granted = put("granted", { filesystem: { read: ["."], write: ["./data"] } }, chain);
  mkdirSync(join(granted, "data"));
  chmodSync(join(granted, "data"), 0o777);
  expect(ends(await run(granted))).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  expect(readFileSync(join(granted, "data/a.csv"), "utf8")).toBe("n\n1\n");
  for (const made of ["x.db", "a.zip"]) expect(existsSync(join(granted, "data", made))).toBe(true);

  const denied = put("denied", { filesystem: { read: ["./data"] } }, [chain[0] as object]);
  const { tasks } = await run(denied);
  expect(tasks[0]?.error).toMatchObject({
    code: "PERMISSION_DENIED",
    details: { kind: "filesystem", target: join(denied, "data/a.csv"), rule: "filesystem.write", grant: 'filesystem: { write: ["./data/a.csv"] }' },
  });
  const { stdout } = await home.run(["plan", join(denied, "flow.json"), "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ tasks: [{ asked: [{ entry: "./data/a.csv", allowed: false }] }] });
});

test("with a grant of the workspace, by the workflow or by the run, they lie in it", async () => {
  const inside = put("inside", { filesystem: { write: ["$workspace"] } }, chain);
  expect(ends(await run(inside))).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  expect(existsSync(join(inside, "data"))).toBe(false);
  const once = put("once", {}, chain);
  expect(ends(await run(once, "--allow-write=$workspace"))).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  expect(existsSync(join(once, "data"))).toBe(false);
  const all = put("all", {}, [chain[0] as object]);
  chmodSync(all, 0o777);
  expect(ends(await run(all, "--allow-all"))).toEqual(["ok"]);
  expect(existsSync(join(all, "data/a.csv"))).toBe(true);
  // One that names the workspace has it, so that its bare paths lie there too.
  const mixed = put("mixed", {}, [{ id: "copy", type: "core/file.write", inputs: { path: "$workspace/a", content: "x" } }]);
  expect(ends(await run(mixed, "--allow-all"))).toEqual(["ok"]);
});

test("a plan tells a refusal of several tasks once", async () => {
  const read = (id: string) => ({ id, type: "core/file.read", inputs: { path: "./same.txt" } });
  const folder = put("shared", {}, [read("one"), read("two"), { id: "own", type: "core/file.read", inputs: { path: "./own.txt" } }]);
  const { stdout } = await home.run(["plan", join(folder, "flow.json")]);
  expect(stdout.split('read: ["./same.txt"]').length).toBe(2);
  expect(stdout).toMatch(/same\.txt.*\(one, two\)/);
  expect(stdout.split('read: ["./own.txt"]').length).toBe(2);
});

test("the envelope of a failed run tells one task and its own error, also beside other failures", async () => {
  const fail = (id: string, code: number, more: object = {}) => ({ id, run: `exit ${code}`, ...more });
  const folder = put("failing", {}, [fail("first", 3), fail("second", 4, { needs: ["first"], if: "{{ failure() }}" })]);
  const { code, stderr } = await home.run(["run", join(folder, "flow.json"), "--json"]);
  const { error } = JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as { error: { details: Record<string, unknown> } };
  expect([code, error.details]).toMatchObject([1, { task: "first", error: { code: "PLUGIN_EXIT", details: { exitCode: 3 } } }]);
  writeFileSync(
    join(folder, "flow.json"),
    JSON.stringify({
      id: "failing",
      outputs: { x: "{{ tasks.ok.output.nothing.there }}" },
      tasks: [{ id: "ok", run: "true" }, fail("bad", 5, { allowFailure: true })],
    }),
  );
  const late = JSON.parse((await home.run(["run", join(folder, "flow.json"), "--json"])).stderr.trim().split("\n").at(-1) ?? "") as typeof error & {
    error: { details: { task: string | null; error: { code: string } } };
  };
  expect(late.error.details).toMatchObject({ task: null, error: { code: "EXPRESSION_ERROR" } });
});
