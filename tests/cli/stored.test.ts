// Stored workflows, executions, keys and traces through the built binary, in process without a server and then on one.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { type Ended, Home, type Server } from "../product/binary.ts";

const source = (id: string, text = "hi") => `id: ${id}\ntasks:\n  - id: say\n    run: echo ${text}\n`;

for (const where of ["in process", "on a server"] as const) {
  describe(where, () => {
    const home = new Home();
    let server: Server | null = null;
    beforeAll(async () => {
      mkdirSync(home.path("flows/deep"), { recursive: true });
      writeFileSync(home.path("flows/one.yaml"), source("one"));
      writeFileSync(home.path("flows/deep/two.yml"), source("two"));
      writeFileSync(home.path("flows/other.yaml"), "services: {}\n");
      if (where === "on a server") server = await home.startServer();
    });
    afterAll(async () => void (await server?.stop()));

    const json = async (...args: string[]): Promise<Record<string, unknown>> => parse(await home.run([...args, "--json"]));
    const parse = (ended: Ended) => {
      expect([ended.code, ended.stderr]).toEqual([0, ""]);
      return JSON.parse(ended.stdout) as Record<string, unknown>;
    };
    const refused = async (...args: string[]) => {
      const ended = await home.run([...args, "--json"]);
      expect(ended.stdout).toBe("");
      return [ended.code, (JSON.parse(ended.stderr) as { error: { code: string } }).error.code];
    };

    test("[WF-02] a folder is applied, listed, described; a second time nothing changes", async () => {
      expect(await json("apply", "flows")).toEqual({
        results: [
          { file: "flows/deep/two.yml", id: "two", revision: 1, changed: true },
          { file: "flows/one.yaml", id: "one", revision: 1, changed: true },
        ],
      });
      expect(await json("apply", "flows/one.yaml")).toMatchObject({ results: [{ id: "one", revision: 1, changed: false }] });
      expect(await json("list")).toMatchObject({ workflows: [{ id: "one", enabled: true, armed: true }, { id: "two" }], nextCursor: null });
      expect(await json("describe", "one")).toMatchObject({ id: "one", source: source("one"), folder: home.path("flows") });
      const table = (await home.run(["list"])).stdout.split("\n");
      expect(table[0]?.split(/ {2,}/).slice(0, 2)).toEqual(["ID", "NAME"]);
      expect(table).toHaveLength(4);
    });

    test("a dry run writes nothing; an error in one file keeps all from being written", async () => {
      writeFileSync(home.path("flows/one.yaml"), source("one", "changed"));
      expect(await json("apply", "flows", "--dry-run")).toMatchObject({
        results: [
          { id: "two", changed: false },
          { id: "one", revision: 2, changed: true },
        ],
      });
      expect(await json("describe", "one")).toMatchObject({ revision: 1 });
      writeFileSync(home.path("flows/wrong.yaml"), "id: wrong\ntasks: {\n");
      expect(await refused("apply", "flows")).toEqual([3, "WORKFLOW_INVALID"]);
      expect(await json("describe", "one")).toMatchObject({ revision: 1 });
      rmSync(home.path("flows/wrong.yaml"));
    });

    test("history and diff show what changed", async () => {
      await json("apply", "flows/one.yaml");
      expect(await json("history", "one")).toMatchObject({
        revisions: [
          { revision: 2, current: true },
          { revision: 1, current: false },
        ],
      });
      const { stdout } = await home.run(["diff", "one"]);
      expect(stdout.split("\n").slice(2)).toEqual([
        "@@ -1,4 +1,4 @@",
        " id: one",
        " tasks:",
        "   - id: say",
        "-    run: echo hi",
        "+    run: echo changed",
        "",
      ]);
      expect(await json("diff", "one", "2", "2")).toEqual({ id: "one", from: 2, to: 2, changed: false, diff: "" });
      expect(await refused("diff", "one", "1", "9")).toEqual([4, "WORKFLOW_NOT_FOUND"]);
    });

    test("a disabled workflow does not run by id", async () => {
      expect(await json("disable", "two")).toMatchObject({ enabled: false });
      expect(await refused("run", "two")).toEqual([5, "WORKFLOW_DISABLED"]);
      expect(await json("workflow", "enable", "two")).toMatchObject({ enabled: true });
    });

    test("[WF-10] [CRA-X17] a run is inspected, its log read, its trace printed and verified", async () => {
      const { execution } = (await json("run", "two", "--wait")) as { execution: { executionId: string; state: string } };
      expect(execution.state).toBe("SUCCESS");
      const id = execution.executionId;
      expect(await json("execution", "inspect", id)).toMatchObject({
        execution: { executionId: id, startedAt: expect.any(String) },
        tasks: [{ taskId: "say", state: "SUCCESS" }],
      });
      expect((await home.run(["execution", "inspect", id])).stdout).toMatch(/^say +SUCCESS/m);
      expect((await home.run(["execution", "logs", id])).stdout).toMatch(/^\S+ INFO {2}say stdout \| hi\n$/);
      expect((await home.run(["execution", "logs", id, "--follow"])).stdout).toMatch(/say stdout \| hi\n$/);
      expect((await home.run(["execution", "watch", id, "--quiet"])).stdout).toBe("hi\n");
      const lines = (await home.run(["trace", "tail", "--trace-id", id])).stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { event_type: string; sequence: number });
      expect(lines.map((line) => line.sequence)).toEqual(lines.map((_, index) => index));
      expect(lines.at(-1)?.event_type).toBe("trace.execution.succeeded");
      const some = (await home.run(["trace", "tail", "--trace-id", id, "--event-type", "task.*", "--limit", "1"])).stdout;
      expect(JSON.parse(some)).toMatchObject({ event_type: "trace.task.succeeded" });
      expect(await json("trace", "verify", "--all", "--state")).toMatchObject({ ok: true });
      expect(await json("trace", "verify", "--trace-id", id)).toMatchObject({ ok: true, events: lines.length });
    });

    test("trace tail without a trace gives the newest events of the store, however many traces came since", async () => {
      const { execution } = (await json("run", "two", "--wait")) as { execution: { executionId: string } };
      for (let count = 0; count < 3; count += 1) await json("run", "two", "--wait");
      const tail = async (...args: string[]) => {
        const { stdout } = await home.run(["trace", "tail", ...args]);
        return stdout.split("\n").slice(0, -1);
      };
      const seqs = (lines: string[]) => lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
      const all = await tail("--limit", "1000000");
      expect(seqs(all)).toEqual(all.map((_, index) => index + 1));
      expect(all.slice(-50)).toEqual((await tail()).slice(0, 50));
      const applied = await tail("--event-type", "workflow.*", "--limit", "2");
      expect(applied).toEqual(all.filter((line) => line.includes('"event_type":"trace.workflow.')).slice(-2));
      const created = await tail("--event-type", "execution.created", "--limit", "4");
      expect(JSON.parse(created[0] ?? "")).toMatchObject({ trace: { trace_id: execution.executionId } });
      expect(created).toHaveLength(4);
    });

    test("[WF-06] every list command gives one JSON document", async () => {
      const lists = { list: "workflows", "execution list": "executions", "history one": "revisions", "key list": "keys", "trace list": "traces" };
      for (const [line, member] of Object.entries(lists)) expect((await json(...line.split(" ")))[member]).toBeArray();
      const page = (await json("list", "--limit", "1")) as { workflows: { id: string }[]; nextCursor: string };
      expect(page.workflows.map((one) => one.id)).toEqual(["one"]);
      expect(await json("list", "--limit", "1", "--cursor", page.nextCursor)).toMatchObject({ workflows: [{ id: "two" }], nextCursor: null });
    });

    test("[WF-07] what is not there is 4, each with its code", async () => {
      const id = "0198c0de-0000-7000-8000-000000000000";
      expect(await refused("describe", "nobody")).toEqual([4, "WORKFLOW_NOT_FOUND"]);
      expect(await refused("execution", "inspect", id)).toEqual([4, "EXECUTION_NOT_FOUND"]);
      expect(await refused("execution", "logs", id)).toEqual([4, "EXECUTION_NOT_FOUND"]);
      expect(await refused("execution", "cancel", id)).toEqual([4, "EXECUTION_NOT_FOUND"]);
      expect(await refused("trace", "tail", "--trace-id", id)).toEqual([4, "TRACE_NOT_FOUND"]);
      expect(await refused("trace", "verify", "--trace-id", id)).toEqual([4, "TRACE_NOT_FOUND"]);
      expect(await refused("key", "revoke", id)).toEqual([4, "KEY_NOT_FOUND"]);
    });

    test("a key is shown by create alone", async () => {
      const created = await json("key", "create", "--name", "ci", "--principal", "service:ci", "--role", "viewer", "--expires", "1d");
      expect(created["key"]).toMatch(/^ak_[\w-]{43}$/);
      const listed = (await home.run(["key", "list", "--json"])).stdout;
      expect(listed).toContain('"ci"');
      expect(listed).not.toContain(String(created["key"]));
      expect(await home.run(["key", "revoke", String(created["id"]), "--json"])).toMatchObject({ code: 0, stdout: "" });
      expect(await refused("key", "create")).toEqual([2, "USAGE"]);
      expect(await refused("key", "create", "--role", "king")).toEqual([3, "KEY_INVALID"]);
    });

    test("--prune deletes what is gone from the folder, and nothing that came from elsewhere", async () => {
      writeFileSync(home.path("alone.yaml"), source("alone"));
      await json("apply", "alone.yaml");
      rmSync(home.path("flows/deep/two.yml"));
      const pruned = await home.run(["apply", "flows", "--prune"]);
      expect([pruned.code, pruned.stdout]).toEqual([0, expect.stringMatching(/^deleted +two$/m)]);
      expect((await json("list"))["workflows"]).toMatchObject([{ id: "alone" }, { id: "one" }]);
      expect(await refused("apply", "alone.yaml", "--prune")).toEqual([2, "USAGE"]);
      expect((await home.run(["delete", "alone"])).code).toBe(0);
      expect(await refused("delete", "alone")).toEqual([4, "WORKFLOW_NOT_FOUND"]);
    });
  });
}
