// Confined attempts through the engine with real processes: what they are denied is told, what they leave behind is stored and handed on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type JsonObject, sha256Hex } from "../../src/base/index.ts";
import { probeSandbox } from "../../src/plugins/index.ts";
import { probeCgroup } from "../../src/plugins/runtimes/index.ts";
import { type Finished, RealEngine } from "./real-engine.ts";

let real: RealEngine;
beforeAll(() => {
  real = new RealEngine();
});
afterAll(() => real.close());

const denials = ({ events }: Finished) =>
  events
    .filter((event) => event.event_type === "trace.permission.denied")
    .map(({ payload: { kind, target, rule, grant } }) => ({ kind, target, rule, grant }));
const lines = ({ logs }: Finished) =>
  logs.filter((line) => line.source === "engine" && line.level === "ERROR").map((line) => JSON.parse(line.metadata ?? "null") as JsonObject);
const startedOf = ({ events }: Finished) => events.find((event) => event.event_type === "trace.task.started")?.payload ?? {};

test("an attempt whose limits are not the usual ones tells of its control group, where there can be one", async () => {
  const layersOf = async (permissions?: JsonObject) => {
    const finished = await real.run({ run: "true" }, null, permissions === undefined ? {} : { permissions });
    return (startedOf(finished)["sandbox"] as { layers: string[] }).layers;
  };
  expect(await layersOf()).not.toContain("cgroup");
  const hasPlace = probeCgroup().place !== null;
  for (const permissions of [{ memoryMb: 300 }, { processes: 32 }]) expect((await layersOf(permissions)).includes("cgroup")).toBe(hasPlace);
});

describe("[WF-14] a denial", () => {
  test("of the network fails the task, and is its error, a log line and an event, with the line that would grant it", async () => {
    const script = "import socket; socket.create_connection(('127.0.0.1', 9), 2)";
    const finished = await real.run({ run: script, shell: "python3", retry: { max: 3 } });
    const denial = { kind: "network", target: "127.0.0.1:9", rule: "network", grant: 'network: ["127.0.0.1:9"]' };
    expect([finished.row.state, finished.row.reason]).toEqual(["FAILED", "PERMISSION_DENIED"]);
    expect(finished.errors["t0"]).toMatchObject({ code: "PERMISSION_DENIED", details: denial });
    expect(denials(finished)).toEqual([denial]);
    expect(lines(finished)).toEqual([denial]);
    expect(finished.attempts.length).toBe(1);
  });

  test("of a file names its real path and the entry", async () => {
    const folder = join(real.workflows, "files");
    mkdirSync(folder);
    writeFileSync(join(folder, "secret"), "x");
    const finished = await real.run({ run: 'cat "$WORKFLOW_DIR/secret"' }, folder);
    expect(finished.errors["t0"]).toMatchObject({
      code: "PERMISSION_DENIED",
      details: { kind: "filesystem", target: join(folder, "secret"), rule: "filesystem.read" },
    });
    expect(denials(finished).length).toBe(1);
    const granted = await real.run({ run: 'cat "$WORKFLOW_DIR/secret"' }, folder, { permissions: { filesystem: { read: ["./secret"] } } });
    expect([granted.row.state, granted.outputs["t0"]?.["stdout"]]).toEqual(["SUCCESS", "x"]);
  });

  test("that the task copes with stands in the trace, and the task goes on", async () => {
    const finished = await real.run({
      run: "import socket\ntry:\n  socket.create_connection(('127.0.0.1', 9), 2)\nexcept OSError: print('coped')",
      shell: "python3",
    });
    expect([finished.row.state, finished.outputs["t0"]?.["stdout"]]).toEqual(["SUCCESS", "coped"]);
    expect(denials(finished).map(({ target }) => target)).toEqual(["127.0.0.1:9"]);
    const types = finished.events.map((event) => event.event_type);
    expect(types.indexOf("trace.permission.denied")).toBeLessThan(types.indexOf("trace.task.succeeded"));
  });
});

test("variables of the server reach a task by grant only; of those names that are never copied none does", async () => {
  const task = { run: 'echo "${FLOW_GRANTED-none} ${FLOW_OTHER-none} ${AUTOKESTRA_FLOW-none}"' };
  const [bare, granted] = [await real.run(task), await real.run(task, null, { permissions: { env: ["FLOW_GRANTED"] } })];
  expect([bare.outputs["t0"]?.["stdout"], granted.outputs["t0"]?.["stdout"]]).toEqual(["none none none", "granted none none"]);
});

test("each attempt's record says how it was confined, and what it was granted", async () => {
  const { state } = probeSandbox();
  const layers = [...state.layers, ...(probeCgroup().place === null ? [] : ["cgroup"])];
  const finished = await real.run({ run: "true" }, null, { permissions: { network: ["a.example:443"], memoryMb: 128 } });
  expect(startedOf(finished)).toMatchObject({
    action: "core/shell.run",
    runtime: "process",
    sandbox: { level: state.level, layers },
    permissions: { network: ["a.example:443"], memoryMb: 128, refused: [] },
  });
  expect(JSON.parse(finished.attempts[0]?.sandbox ?? "{}")).toEqual({ layers, level: state.level });
});

describe("artifacts", () => {
  test("left in $HOME/out are stored, named, and handed to a later task", async () => {
    const finished = await real.run([
      { run: 'mkdir -p "$HOME/out/sub"; echo hello > "$HOME/out/a.txt"; head -c 2000000 /dev/zero > "$HOME/out/sub/zero.bin"' },
      {
        needs: ["t0"],
        run: 'cat "$HOME/in/first"; wc -c < "$HOME/in/second"',
        inputs: { files: { first: "{{ tasks.t0.output.artifacts[0].uri }}", second: "{{ tasks.t0.output.artifacts[1].uri }}" } },
      },
    ]);
    expect(finished.errors).toEqual({ t0: null, t1: null });
    const artifacts = finished.outputs["t0"]?.["artifacts"] as { name: string; uri: string; size: number }[];
    expect(artifacts).toEqual([
      { name: "a.txt", uri: `artifact:${sha256Hex("hello\n")}`, size: 6 },
      { name: "sub/zero.bin", uri: `artifact:${sha256Hex(new Uint8Array(2_000_000))}`, size: 2_000_000 },
    ]);
    expect(finished.outputs["t1"]?.["stdout"]).toBe("hello\n2000000");
    const succeeded = finished.events.find((event) => event.event_type === "trace.task.succeeded");
    expect(succeeded?.artifacts?.map(({ name, content_type }) => [name, content_type])).toEqual([
      ["a.txt", "text/plain;charset=utf-8"],
      ["sub/zero.bin", "application/octet-stream"],
    ]);
  });

  test("of a failed attempt are dropped", async () => {
    const finished = await real.run({ run: 'mkdir "$HOME/out"; echo lost > "$HOME/out/lost"; exit 1' });
    expect(finished.events.some((event) => (event.artifacts ?? []).length > 0)).toBe(false);
    expect(await real.store.openBlob(sha256Hex("lost\n"))).toBeNull();
  });

  test("of another execution are not to be had", async () => {
    const first = await real.run({ run: 'mkdir "$HOME/out"; echo mine > "$HOME/out/mine"' });
    expect(first.row.state).toBe("SUCCESS");
    const uri = `artifact:${sha256Hex("mine\n")}`;
    const stolen = await real.run({ run: 'cat "$HOME/in/mine"', inputs: { files: { mine: uri } } });
    expect(stolen.errors["t0"]?.code).toBe("TASK_INPUT_INVALID");
  });
});
