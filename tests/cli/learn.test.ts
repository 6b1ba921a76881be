// --learn: nothing is enforced, and what it prints is enough to run the same with everything enforced.
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Permissions } from "../../src/model/index.ts";
import { Home } from "../product/binary.ts";

const home = new Home();
const http = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("reached") });
afterAll(() => http.stop(true));
const file = (name: string, text: string): string => {
  mkdirSync(join(home.path(name), ".."), { recursive: true });
  writeFileSync(home.path(name), text);
  return name;
};
for (const name of ["1", "2", "3", "4", "5"]) file(`many/${name}`, name);
file("one.txt", "one");
file("out/.keep", "");

const tasks = `tasks:
  - id: files
    run: |
      cat "$WORKFLOW_DIR"/many/* "$WORKFLOW_DIR/one.txt" > "$WORKFLOW_DIR/out/all"
      echo "$GREETING" > in-workspace
  - id: py
    shell: python3
    run: |
      import os, urllib.request
      print(os.environ["GREETING"], urllib.request.urlopen("${http.url}").read())
  - id: js
    shell: bun
    run: console.log(await (await fetch("${http.url}")).text());
`;

test("[WF-14] what it learns is enough, and without any of it the run fails", async () => {
  const env = { GREETING: "hello" };
  file("flow.yaml", `id: flow\n${tasks}`);
  const learned = await home.run(["run", "flow.yaml", "--learn", "--json"], { env });
  expect(learned.code).toBe(0);
  expect(learned.stderr.split("\n")[0]).toContain("nothing is enforced");
  const text = learned.stderr.slice(learned.stderr.indexOf("\npermissions:"));
  const { permissions } = parse(text) as { permissions: Permissions };
  expect(permissions).toEqual({
    network: [`127.0.0.1:${http.port}`],
    filesystem: { read: ["./many", "./one.txt"], write: ["./out"] },
    env: ["GREETING"],
  });
  const { tasks: runs } = JSON.parse(learned.stdout) as { tasks: { attempts: { sandbox: unknown }[] }[] };
  for (const run of runs) expect(run.attempts[0]?.sandbox).toEqual({ level: "off", layers: ["observe"] });
  const runWith = (block: unknown) => {
    file("flow.yaml", `id: flow\npermissions: ${JSON.stringify(block)}\n${tasks}`);
    return home.run(["run", "flow.yaml"], { env });
  };
  expect(await runWith(permissions)).toMatchObject({ code: 0 });
  for (const key of ["network", "filesystem", "env"] as const)
    expect([key, (await runWith({ ...permissions, [key]: undefined })).code]).toEqual([key, 1]);
}, 30_000);

test("into a file: nothing of it on stderr, also when the run fails; an unwritable one is refused before the run", async () => {
  file("fails.yaml", 'id: fails\ntasks: [{ id: a, run: \'cat "$WORKFLOW_DIR/one.txt"; touch "$WORKFLOW_DIR/out/ran"; exit 3\' }]\n');
  const refused = await home.run(["run", "fails.yaml", "--learn=no/such/folder.yaml"]);
  expect([refused.code, existsSync(home.path("out/ran"))]).toEqual([4, false]);
  const { code, stderr } = await home.run(["run", "fails.yaml", "--learn=learned.yaml"]);
  expect([code, stderr.includes("permissions:")]).toEqual([1, false]);
  expect(parse(readFileSync(home.path("learned.yaml"), "utf8"))).toEqual({ permissions: { filesystem: { read: ["./one.txt"], write: ["./out"] } } });
});

test.each([
  ["$workspace/part.json", "$workspace"],
  // Bare, and nothing of the workspace granted: in the workflow's folder. Looks into the folders above are no matter.
  ["out/part.json", "./out"],
])("built-in actions are learned by what their inputs imply: %s", async (path, entry) => {
  const source = `id: built\ntasks:\n  - { id: put, type: core/file.write, inputs: { path: "${path}", content: "1" } }\n  - { id: get, type: core/http.request, needs: [put], inputs: { url: "${http.url}" } }\n`;
  file("built.yaml", source);
  expect((await home.run(["run", "built.yaml"])).code).toBe(1);
  const { code, stderr } = await home.run(["run", "built.yaml", "--learn", "--quiet"]);
  expect(code).toBe(0);
  const block = parse(stderr) as { permissions: Permissions };
  expect(block).toEqual({ permissions: { network: [`127.0.0.1:${http.port}`], filesystem: { write: [entry] } } });
  expect(stderr).not.toMatch(/not granted: .*(?:\/tmp|\/)(?:,|$)/m);
  file("built.yaml", `permissions: ${JSON.stringify(block.permissions)}\n${source}`);
  expect((await home.run(["run", "built.yaml"])).code).toBe(0);
});
