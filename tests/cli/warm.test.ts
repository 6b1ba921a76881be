// Plugins with `keepWarm` through the built product: one worker over many tasks and executions, and none left when the product ends.
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, processesWith, type Server, until } from "../product/binary.ts";

const main = `import { definePlugin } from "autokestra/sdk";
const id = crypto.randomUUID();
let count = 0;
export default definePlugin({ actions: { go: async (input: { n: number }, ctx) => {
  ctx.log.info("said " + input.n);
  return { id, count: ++count, n: input.n };
} } });
`;

function addPlugin(home: Home, name: string, keepWarm: number): void {
  const folder = join(home.data, "plugins/acme", name);
  mkdirSync(folder, { recursive: true });
  const head = `namespace: acme\nname: ${name}\nversion: 1.0.0\nruntime: bun\nentrypoint: main.ts\nkeepWarm: ${keepWarm}\n`;
  writeFileSync(join(folder, "plugin.yaml"), `${head}actions:\n  - name: go\n    input: { type: object, properties: { n: { type: integer } } }\n`);
  writeFileSync(join(folder, "main.ts"), main);
}

/** Ten tasks, one after the other. */
function flow(id: string, plugin = "counter"): string {
  const tasks = Array.from({ length: 10 }, (_, index) => {
    const needs = index === 0 ? "" : `\n    needs: [t${index - 1}]`;
    return `  - id: t${index}${needs}\n    type: acme/${plugin}.go\n    inputs: { n: ${index + 1} }\n`;
  });
  return `id: ${id}\ntasks:\n${tasks.join("")}`;
}

type Output = { id: string; count: number; n: number };
type Event = { event_type: string; payload: { action?: string; sandbox?: { level: string; layers: string[] } } };

/** Outputs of the tasks, their lines by task, and the sandbox of their first attempt. */
async function look(home: Home, executionId: string) {
  const inspected = await home.run(["execution", "inspect", executionId, "--include=trace", "--json"]);
  const { tasks, trace } = JSON.parse(inspected.stdout) as { tasks: { output: Output }[]; trace: Event[] };
  const logs = await home.run(["execution", "logs", executionId, "--json"]);
  const started = trace.find((event) => event.event_type === "trace.task.started")?.payload;
  return { outputs: tasks.map(({ output }) => output), logs: logs.stdout, sandbox: started?.sandbox };
}

async function run(home: Home, file: string): Promise<string> {
  const ended = await home.run(["run", file, "--json"]);
  expect({ code: ended.code, stderr: ended.stderr }).toMatchObject({ code: 0 });
  return (JSON.parse(ended.stdout) as { execution: { executionId: string } }).execution.executionId;
}

/** Runs a stored workflow on the server: which worker served each task. */
async function idsOf(server: Server, workflow: string): Promise<string[]> {
  const { executionId } = (await server.call("POST", `/api/v1/workflows/${workflow}/executions`, {})).body as { executionId: string };
  const state = async () =>
    ((await server.call("GET", `/api/v1/executions/${executionId}`)).body as { execution: { state: string } }).execution.state;
  expect(await until(async () => (/PENDING|RUNNING/.test(await state()) ? null : state()))).toBe("SUCCESS");
  const { tasks } = (await server.call("GET", `/api/v1/executions/${executionId}/tasks`)).body as { tasks: { output: Output }[] };
  return tasks.map(({ output }) => output.id);
}

describe("keepWarm", () => {
  const home = new Home();
  const marker = join(home.data, "plugins/acme/counter");
  beforeAll(() => {
    addPlugin(home, "counter", 1);
    addPlugin(home, "cold", 0);
    for (const id of ["one", "two"]) writeFileSync(home.path(`${id}.yaml`), flow(id));
    writeFileSync(home.path("cold.yaml"), flow("cold", "cold"));
  });

  test("[WF-12] one worker serves the tasks of a run, and ends with it; the sandbox is said to be the same as cold", async () => {
    const warm = await look(home, await run(home, "one.yaml"));
    const cold = await look(home, await run(home, "cold.yaml"));
    expect(warm.outputs.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(warm.outputs.map(({ id }) => id)).size).toBe(1);
    expect(new Set(cold.outputs.map(({ id }) => id)).size).toBe(10);
    expect(warm.sandbox?.level).toBeString();
    expect(warm.sandbox).toEqual(cold.sandbox as NonNullable<typeof cold.sandbox>);
    for (const n of [1, 10]) expect(warm.logs.split(`"said ${n}"`).length).toBe(2);
    expect(processesWith(marker)).toEqual([]);
    expect(readdirSync(join(home.data, "work/.warm"))).toEqual([]);
  }, 30_000);

  test("a server keeps it over executions, for each workflow its own; neither its stop nor kill -9 leaves one", async () => {
    const server = await home.startServer();
    for (const id of ["one", "two"]) await server.apply(id, flow(id));
    const [first, second, other] = [await idsOf(server, "one"), await idsOf(server, "one"), await idsOf(server, "two")];
    expect(new Set([...first, ...second]).size).toBe(1);
    expect(new Set(other).size).toBe(1);
    expect(other).not.toContain(first[0] as string);
    expect(processesWith(marker).length).toBeGreaterThan(0);
    await server.kill();
    await until(() => (processesWith(marker).length === 0 ? true : null));
    const left = readdirSync(join(home.data, "work/.warm"));
    expect(left.length).toBeGreaterThan(0);
    const again = await home.startServer();
    expect(readdirSync(join(home.data, "work/.warm"))).toEqual([]);
    await idsOf(again, "one");
    expect(processesWith(marker).length).toBeGreaterThan(0);
    await again.stop();
    expect(processesWith(marker)).toEqual([]);
    expect(existsSync(join(home.data, "work/.warm")) ? readdirSync(join(home.data, "work/.warm")) : []).toEqual([]);
  }, 60_000);
});
