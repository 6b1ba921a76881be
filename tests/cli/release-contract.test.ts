// The release contract through the built binary: start, apply, run, inspect, logs, trace, restart (document 1b).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Home, root, type Server, until } from "../product/binary.ts";

type Item = { executionId: string; state: string; digest: string; createdAt: string; startedAt: string; endedAt: string };
type Inspection = {
  execution: Item & { reasonCode: string; outputs: unknown; error: { code: string } | null };
  tasks: {
    taskId: string;
    state: string;
    error: { code: string; details: { exitCode: number; stderr: string } } | null;
    attempts: { startedAt: string; endedAt: string }[];
  }[];
};
type LogPage = { items: { id: number; taskId: string; level: string; source: string; message: string }[]; nextCursor: string | null };
type EventPage = {
  trace_id: string;
  events: { event_type: string; severity: string; sequence: number; seq: number }[];
  total_count: number;
  has_more: boolean;
};

const talk = `id: talk
inputs: [{ id: lines, type: integer, default: 3 }]
tasks:
  - id: say
    run: 'i=0; while [ $i -lt "$LINES" ]; do echo "line $i"; i=$((i+1)); done; echo "careful" >&2'
    env: { LINES: "{{ inputs.lines }}" }
  - { id: note, needs: [say], type: core/log.write, inputs: { level: warn, message: noted } }
outputs: { said: "{{ tasks.say.output.stdout }}" }
`;
const broken = `id: broken
tasks:
  - { id: fine, type: core/value.set, inputs: { a: 1 } }
  - { id: bad, needs: [fine], run: "echo the reason >&2; exit 9" }
  - { id: after, needs: [bad], run: "true" }
`;

describe("with a server", () => {
  const home = new Home();
  let server: Server;
  beforeAll(async () => {
    await Bun.write(home.path("autokestra.yaml"), "server:\n  host: 127.0.0.1\nexecution:\n  maxConcurrentTasks: 8\n");
    server = await home.startServer(["-c", home.path("autokestra.yaml")]);
    await server.apply("talk", talk);
    await server.apply("broken", broken);
  });
  afterAll(async () => void (await server.stop()));

  async function execute(workflow: string, body: unknown = {}): Promise<Inspection> {
    const answer = await server.call("POST", `/api/v1/workflows/${workflow}/executions?wait=20s`, body);
    expect(answer.status).toBe(200);
    return answer.body as Inspection;
  }

  test("[WF-01] a server with a valid YAML config answers GET /health", async () => {
    const answer = await fetch(`${server.url}/health`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ status: "ok" });
    const shown = await home.run(["config", "show", "--json", "-c", home.path("autokestra.yaml")]);
    expect(JSON.parse(shown.stdout)["execution.maxConcurrentTasks"]).toEqual({ value: 8, source: "file" });
  });

  test("[WF-02] a workflow applied by CLI or API is stored, listed and described", async () => {
    await Bun.write(home.path("byfile.yaml"), "id: byfile\nname: By file\ntasks: [{ id: a, type: core/value.set, inputs: {} }]\n");
    expect((await home.run(["apply", "byfile.yaml"])).code).toBe(0);
    const listed = JSON.parse((await home.run(["list", "--json"])).stdout) as { workflows: { id: string }[] };
    expect(listed.workflows.map((workflow) => workflow.id)).toEqual(["broken", "byfile", "talk"]);
    const described = JSON.parse((await home.run(["describe", "byfile", "--json"])).stdout) as {
      name: string;
      revision: number;
      source: string;
      folder: string;
    };
    expect(described).toMatchObject({ name: "By file", revision: 1, folder: home.dir });
    expect(described.source).toBe(readFileSync(home.path("byfile.yaml"), "utf8"));
  });

  test("[WF-03] an execution ends in SUCCESS or FAILED, and equal inputs give equal digests", async () => {
    const first = await execute("talk", { inputs: { lines: 2 } });
    const second = await execute("talk", { inputs: { lines: 2 } });
    const other = await execute("talk", { inputs: { lines: 1 } });
    expect([first.execution.state, second.execution.state]).toEqual(["SUCCESS", "SUCCESS"]);
    expect(first.execution.digest).toBe(second.execution.digest);
    expect(first.execution.digest).not.toBe(other.execution.digest);
    expect((await execute("broken")).execution.state).toBe("FAILED");
  });

  test("[WF-10] inspection tells states, times and the cause of a failure", async () => {
    const { execution, tasks } = await execute("broken");
    expect(execution.error?.code).toBe("PLUGIN_EXIT");
    expect(execution.reasonCode).toBe("TASK_FAILED");
    expect(tasks.map((task) => [task.taskId, task.state])).toEqual([
      ["fine", "SUCCESS"],
      ["bad", "FAILED"],
      ["after", "SKIPPED"],
    ]);
    const bad = tasks[1];
    expect(bad?.error?.details).toMatchObject({ exitCode: 9, stderr: "the reason" });
    expect(Date.parse(bad?.attempts[0]?.endedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(bad?.attempts[0]?.startedAt ?? ""));
    for (const time of [execution.createdAt, execution.startedAt, execution.endedAt])
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("[WF-11] logs page newest first and filter by task and level", async () => {
    const { execution } = await execute("talk", { inputs: { lines: 5 } });
    const path = `/api/v1/executions/${execution.executionId}/logs`;
    const first = (await server.call("GET", `${path}?limit=3`)).body as LogPage;
    const second = (await server.call("GET", `${path}?limit=3&cursor=${first.nextCursor}`)).body as LogPage;
    const third = (await server.call("GET", `${path}?limit=3&cursor=${second.nextCursor}`)).body as LogPage;
    const all = [...first.items, ...second.items, ...third.items];
    expect(third.nextCursor).toBeNull();
    expect(all.length).toBe(7);
    expect(all.map((item) => item.id)).toEqual(all.map((item) => item.id).toSorted((a, b) => b - a));
    expect(all[0]?.message).toBe("noted");
    const warned = (await server.call("GET", `${path}?level=WARN%2B`)).body as LogPage;
    expect(warned.items.map((item) => [item.taskId, item.level, item.source])).toEqual([
      ["note", "WARN", "engine"],
      ["say", "ERROR", "stderr"],
    ]);
    const said = (await server.call("GET", `${path}?taskId=say&source=stdout&order=asc&search=line%201`)).body as LogPage;
    expect(said.items.map((item) => item.message)).toEqual(["line 1"]);
    const human = await home.run(["execution", "logs", execution.executionId, "--task", "say"]);
    expect(human.stdout.indexOf("line 0")).toBeLessThan(human.stdout.indexOf("line 4"));
  });

  test("[CRA-0.09] events of a trace are filtered by severity, type glob, limit and offset", async () => {
    const { execution } = await execute("broken");
    const path = `/v1/traces/${execution.executionId}/events`;
    const all = (await server.call("GET", path)).body as EventPage;
    expect(all.trace_id).toBe(execution.executionId);
    expect(all.total_count).toBe(all.events.length);
    const page = (await server.call("GET", `${path}?limit=2&offset=1`)).body as EventPage;
    expect(page.events.map((event) => event.sequence)).toEqual([1, 2]);
    expect(page.has_more).toBe(true);
    const errors = (await server.call("GET", `${path}?severity=error`)).body as EventPage;
    expect(errors.events.map((event) => event.event_type)).toEqual(["trace.task.failed", "trace.execution.failed"]);
    const tasks = (await server.call("GET", `${path}?event_type=task.*&since_sequence=3`)).body as EventPage;
    expect(tasks.events.every((event) => event.event_type.startsWith("trace.task.") && event.sequence > 3)).toBe(true);
    expect((await server.call("GET", `${path}?severity=loud`)).status).toBe(400);
  });

  test("[CRA-0.10] a stream gives one JSON event a data line, resumes by Last-Event-ID, and loses nothing", async () => {
    const { execution } = await execute("talk");
    const all = (await server.call("GET", `/v1/traces/${execution.executionId}/events`)).body as EventPage;
    const after = all.events[2]?.seq ?? 0;
    const abort = new AbortController();
    const response = await fetch(`${server.url}/v1/traces/${execution.executionId}/stream`, {
      headers: { authorization: `Bearer ${server.key}`, "last-event-id": String(after) },
      signal: abort.signal,
    });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const got: number[] = [];
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk as Uint8Array);
      got.splice(0, got.length, ...[...text.matchAll(/^data: (.*)$/gm)].map(([, line]) => (JSON.parse(line ?? "") as { seq: number }).seq));
      if (got.length >= all.events.length - 3) break;
    }
    abort.abort();
    expect(got).toEqual(all.events.slice(3).map((event) => event.seq));
    expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual(got);
  });

  test("[CRA-0.18] [CRA-0.19] trace tail prints JSONL as the server sends it, follows, and filters", async () => {
    const { execution } = await execute("broken");
    const tail = await home.run(["trace", "tail", "--trace-id", execution.executionId]);
    const lines = tail.stdout.trim().split("\n");
    const page = (await server.call("GET", `/v1/traces/${execution.executionId}/events`)).text;
    for (const line of lines) expect(page).toContain(line);
    const errors = await home.run(["trace", "tail", "--trace-id", execution.executionId, "--severity", "error", "--event-type", "trace.task.*"]);
    expect(
      errors.stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { event_type: string }).event_type),
    ).toEqual(["trace.task.failed"]);
    const follow = home.start(["trace", "tail", "--follow", "--event-type", "execution.succeeded"]);
    let seen = "";
    follow.child.stdout?.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    const found = await until(async () => {
      const done = await execute("talk");
      return seen.includes(done.execution.executionId) ? done : null;
    });
    expect(seen).toContain(`"event_type":"trace.execution.succeeded"`);
    expect(found.execution.state).toBe("SUCCESS");
    follow.child.kill("SIGINT");
    await follow.ended;
  });

  test("[WF-27] server and a run stay small: far below a machine of 4 GB", async () => {
    await execute("talk");
    const status = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
    const peakKb = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
    expect(peakKb).toBeGreaterThan(10_000);
    expect(peakKb).toBeLessThan(400_000);
  });
});

test("[WF-04] [WF-05] the SQLite file is the whole store: after a restart on it everything is there", async () => {
  const home = new Home();
  let server = await home.startServer();
  await server.apply("talk", talk);
  const before = (await server.call("POST", "/api/v1/workflows/talk/executions?wait=20s", {})).body as Inspection;
  expect((await server.stop()).code).toBe(0);
  expect(readdirSync(home.data).filter((name) => name.endsWith(".db"))).toEqual(["autokestra.db"]);
  expect(statSync(join(home.data, "autokestra.db")).mode & 0o777).toBe(0o600);
  server = await home.startServer();
  const after = (await server.call("GET", `/api/v1/executions/${before.execution.executionId}`)).body as Inspection;
  expect(after).toEqual(before);
  const listed = (await server.call("GET", "/api/v1/workflows")).body as { workflows: { id: string; enabled: boolean }[] };
  expect(listed.workflows.map((workflow) => [workflow.id, workflow.enabled])).toEqual([["talk", true]]);
  await server.stop();
}, 30_000);

test("[WF-18] the engine runs in the server, and AUTOKESTRA_DISABLE_RUNTIME=1 turns it off", async () => {
  const home = new Home();
  let server = await home.startServer([], { AUTOKESTRA_DISABLE_RUNTIME: "1" });
  await server.apply("talk", talk);
  const started = await server.call("POST", "/api/v1/workflows/talk/executions?wait=300ms", {});
  expect(started.status).toBe(202);
  expect(started.body).toMatchObject({ state: "PENDING" });
  await server.stop();
  server = await home.startServer();
  const id = (started.body as { executionId: string }).executionId;
  const ended = await until(async () => {
    const body = (await server.call("GET", `/api/v1/executions/${id}`)).body as Inspection;
    return body.execution.state === "SUCCESS" ? body : null;
  });
  expect(ended.execution.outputs).toEqual({ said: "line 0\nline 1\nline 2" });
  await server.stop();
}, 30_000);

test("[WF-25] [WF-26] the checked-in example runs on a fresh home, and its outputs are those of its inputs", async () => {
  const home = new Home();
  const file = join(root, "examples/hello/workflow.yaml");
  const first = await home.run(["run", file, "--wait", "--input", "name=Ada"]);
  expect(first.code).toBe(0);
  expect(JSON.parse(first.stdout)).toMatchObject({ words: 3, longest: "default" });
  expect(first.stdout).toContain("Ada");
  expect(first.stderr).toContain("summary");
  expect(existsSync(join(home.data, "autokestra.db"))).toBe(true);
  expect(readdirSync(join(home.data)).includes("work") ? readdirSync(join(home.data, "work")) : []).toEqual([]);
});

test("[WF-28] every job has a command, and pictures are files that the CLI writes", async () => {
  const home = new Home();
  const help = (await home.run(["--help"])).stdout;
  for (const command of [
    "server start",
    "run",
    "apply",
    "list",
    "validate",
    "plan",
    "graph",
    "execution list",
    "execution cancel",
    "trace verify",
    "key create",
    "config show",
  ])
    expect(help).toContain(command);
  const svg = await home.run(["graph", join(root, "examples/hello/workflow.yaml"), "--format", "svg"]);
  expect(svg.code).toBe(0);
  expect(svg.stdout).toStartWith("<svg");
});

test("[CRA-X10] one source of the version: package.json", async () => {
  const home = new Home();
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  expect((await home.run(["--version"])).stdout).toBe(`workflow ${version}\n`);
  const server = await home.startServer();
  expect(await (await fetch(`${server.url}/v1/health`)).json()).toMatchObject({
    status: "healthy",
    version,
    carp_version: "1.0",
    trace_version: "1.0",
  });
  await server.stop();
});
