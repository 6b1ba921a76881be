// Clean-up, retention and comparison of executions through the built product: what is removed is gone everywhere, the store verifies,
// a kill in the middle loses nothing, and a server does it by itself.
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSqliteStore, type RowChange } from "../../src/storage/index.ts";
import { Ledger } from "../../src/trace/index.ts";
import { draftOf, logOf, newTrace } from "../contract/requests.ts";
import { Home, until } from "../product/binary.ts";

const bytes = 3_000_000;
const flow = `id: files
inputs:
  - { id: n, type: integer, default: 1 }
tasks:
  - id: first
    run: 'mkdir "$HOME/out"; head -c ${bytes} /dev/zero > "$HOME/out/shared.bin"; (echo "$N"; head -c ${bytes} /dev/zero) > "$HOME/out/own.bin"; printf "a\\nb $N\\nc"'
    env: { N: "{{ inputs.n }}" }
  - id: second
    needs: [first]
    run: exit "$N"
    env: { N: "{{ inputs.n }}" }
`;

type Json = Record<string, unknown>;
const day = 86_400_000;

/** Blob files of a home's store. */
function blobFiles(home: Home): string[] {
  const folder = join(home.data, "blobs");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

async function start(home: Home, n: number): Promise<string> {
  const { stdout, stderr } = await home.run(["run", "files.yaml", "--input", `n=${n}`, "--json"]);
  expect(stderr).not.toContain("WORKFLOW_INVALID");
  return (JSON.parse(stdout) as { execution: { executionId: string } }).execution.executionId;
}

const verify = async (home: Home) => {
  const { code, stderr } = await home.run(["trace", "verify", "--all", "--state"]);
  return { code, stderr };
};
const whole = { code: 0, stderr: "" };

/** Executions as an engine leaves them, that ended so long ago. */
async function seed(home: Home, count: number, agoMs: number): Promise<string[]> {
  mkdirSync(home.data, { recursive: true, mode: 0o700 });
  const store = openSqliteStore({ path: join(home.data, "autokestra.db"), durability: "normal", now: 0 });
  const ledger = new Ledger({ store, schedule: (work) => void setImmediate(work) });
  const trigger = { type: "manual", id: null, scheduled_at: null, by: null };
  const time = Date.now() - agoMs;
  const one = async () => {
    const trace = newTrace();
    const execution_id = trace.traceId;
    const of = (type: string, payload: Json) =>
      draftOf(trace, { eventId: Bun.randomUUIDv7(), type: `trace.execution.${type}`, payload: { execution_id, ...payload } as never, time });
    const sealed: RowChange = {
      table: "sealed_values",
      op: "insert",
      row: {
        execution_id,
        task: "",
        item_index: -1,
        member: "inputs",
        key_id: "a".repeat(32),
        nonce: new Uint8Array(12),
        ciphertext: new Uint8Array(9),
      },
    };
    await ledger.commit({
      opens: new Map([[execution_id, { subject: "execution", subjectId: execution_id }]]),
      events: [
        of("created", { workflow: "gone", revision: 1, sha256: "a".repeat(64), trigger, inputs: {} }),
        of("started", {}),
        of("succeeded", { outputs: { text: "x".repeat(200) }, digest: "a".repeat(64) }),
      ],
      logs: [logOf(trace), logOf(trace)],
      sideChanges: [sealed],
    });
    return execution_id;
  };
  const ids = await Promise.all(Array.from({ length: count }, one));
  await store.close();
  return ids;
}

/** How much of each table there is. */
function countRows(home: Home, ...tables: string[]): number[] {
  const db = new Database(join(home.data, "autokestra.db"), { readonly: true });
  try {
    return tables.map((table) => db.query<{ n: number }, []>(`select count(*) as n from ${table}`).get()?.n ?? -1);
  } finally {
    db.close();
  }
}

describe("execution cleanup and execution diff", () => {
  const home = new Home();
  let ids: string[] = [];

  beforeAll(async () => {
    writeFileSync(home.path("files.yaml"), flow);
    for (const n of [0, 0, 3]) ids.push(await start(home, n));
  }, 60_000);

  test("compares two executions by what they did, not by when", async () => {
    const [a = "", b = "", c = ""] = ids;
    const same = await home.run(["execution", "diff", a, b]);
    expect([same.code, same.stdout.trimEnd().split("\n").at(-1)]).toEqual([0, "no differences"]);
    expect(JSON.parse((await home.run(["execution", "diff", a, b, "--json"])).stdout)).toMatchObject({ same: true, differences: [] });
    const other = await home.run(["execution", "diff", a, c, "--json"]);
    const { same: isSame, differences } = JSON.parse(other.stdout) as { same: boolean; differences: { path: string; a: unknown; b: unknown }[] };
    expect([other.code, isSame]).toEqual([0, false]);
    const of = new Map(differences.map((one) => [one.path, [one.a, one.b]]));
    expect(of.get("state")).toEqual(["SUCCESS", "FAILED"]);
    expect(of.get("inputs.n")).toEqual([0, 3]);
    expect(of.get("tasks.second.state")).toEqual(["SUCCESS", "FAILED"]);
    expect(of.get("tasks.second.reason")).toEqual(["SUCCESS", "TASK_FAILED"]);
    expect([...of.keys()]).toContain("tasks.second.attempts[0].error");
    expect([...of.keys()]).not.toContain("tasks.first.state");
    const shown = (await home.run(["execution", "diff", a, c])).stdout;
    expect(shown).toContain('tasks.second.state\n  - "SUCCESS"\n  + "FAILED"');
    expect(shown).toContain("  - b 0\n  + b 3\n");
  });

  test("refuses what it cannot use, and what is not there", async () => {
    const codes = async (...args: string[]) => (await home.run(["execution", ...args])).code;
    expect(await codes("cleanup")).toBe(2);
    expect(await codes("cleanup", "--older-than", "yesterday")).toBe(2);
    expect(await codes("cleanup", "--older-than", "30d", "--state", "RUNNING")).toBe(2);
    expect(await codes("diff", ids[0] ?? "")).toBe(2);
    expect(await codes("diff", ids[0] ?? "", "01900000-0000-7000-8000-00000000dead")).toBe(4);
  });

  test("removes rows and files of what ended so, and keeps what others share", async () => {
    const before = blobFiles(home);
    expect(before.length).toBe(3);
    const dry = await home.run(["execution", "cleanup", "--older-than", "0s", "--state", "FAILED", "--dry-run", "--json"]);
    expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, executions: 1, states: ["FAILED"] });
    expect(JSON.parse((await home.run(["execution", "cleanup", "--older-than", "30d", "--json"])).stdout)).toMatchObject({ executions: 0 });
    expect((await home.run(["execution", "cleanup", "--older-than", "0s", "--state", "FAILED"])).stdout).toStartWith("Removed 1 execution ");
    expect(blobFiles(home).length).toBe(2);
    expect(await verify(home)).toEqual(whole);
    for (const command of ["inspect", "logs", "artifacts", "cancel"])
      expect((await home.run(["execution", command, ids[2] ?? ""])).stderr).toContain("EXECUTION_NOT_FOUND");
    expect((await home.run(["trace", "tail", "--trace-id", ids[2] ?? ""])).stderr).toContain("TRACE_NOT_FOUND");
    expect((await home.run(["execution", "artifacts", ids[0] ?? "", "shared.bin", "-o", home.path("kept.bin")])).code).toBe(0);
    await home.run(["execution", "cleanup", "--older-than", "0s"]);
    expect(blobFiles(home)).toEqual([]);
    expect(await verify(home)).toEqual(whole);
    expect(countRows(home, "executions", "task_runs", "attempts", "logs", "sealed_values", "burials", "tombstones")).toEqual([0, 0, 0, 0, 0, 0, 3]);
    // The workflow stays, and can run again.
    ids = [await start(home, 0)];
    expect(await verify(home)).toEqual(whole);
  });
});

describe("a clean-up that is killed", () => {
  const home = new Home();

  test("leaves whole executions and ones that are gone; the next goes on", async () => {
    await seed(home, 6000, day);
    let kills = 0;
    for (const least of [300, 1500]) {
      const { child, ended } = home.start(["execution", "cleanup", "--older-than", "1h"]);
      await until(() => (countRows(home, "tombstones")[0] ?? 0) >= least || child.exitCode !== null || null, 30_000);
      child.kill("SIGKILL");
      if ((await ended).signal === "SIGKILL") kills += 1;
      expect(await verify(home)).toEqual(whole);
      const [executions = 0, tombstones = 0] = countRows(home, "executions", "tombstones");
      expect(executions + tombstones).toBe(6000);
    }
    expect(kills).toBe(2);
    expect((await home.run(["execution", "cleanup", "--older-than", "1h"])).code).toBe(0);
    expect(countRows(home, "executions", "burials", "logs", "sealed_values", "tombstones")).toEqual([0, 0, 0, 0, 6000]);
    expect(await verify(home)).toEqual(whole);
  }, 120_000);
});

describe("retention", () => {
  for (const [name, set, gone, kept] of [
    ["what the storage keeps decides", { WORKFLOW_STORAGE_RETENTION_DAYS: "10", WORKFLOW_TRACE_RETENTION_DAYS: "2" }, 11 * day, 3 * day],
    ["else what traces keep, thirty days by default", {}, 31 * day, 29 * day],
  ] as const)
    test(`${name}: a server removes it at its start, says so, and goes on serving`, async () => {
      const home = new Home();
      const [old = ""] = await seed(home, 30, gone);
      const [young = ""] = await seed(home, 1, kept);
      const server = await home.startServer([], set);
      const state = async (id: string) => (await server.call("GET", `/api/v1/executions?workflow=gone&limit=500`)).text.includes(id);
      await until(async () => ((await state(old)) ? null : true), 20_000);
      await until(() => (countRows(home, "burials", "executions").join() === "0,1" ? true : null), 20_000);
      expect(await state(young)).toBe(true);
      const { stderr } = await server.stop();
      expect(stderr).toMatch(/^Retention removed 30 executions that ended before .*, with 90 events$/m);
      expect(await verify(home)).toEqual(whole);
      const tail = await home.run(["trace", "tail", "--event-type", "ledger.pruned", "--json"]);
      const last = JSON.parse(tail.stdout.trimEnd().split("\n").at(-1) ?? "{}") as { actor: Json; payload: Json };
      expect([last.actor, last.payload["reason"], last.payload["by"]]).toEqual([{ type: "runtime", id: "server" }, "retention", "service:server"]);
    }, 60_000);

  test("a server that runs nothing removes nothing by itself", async () => {
    const home = new Home();
    await seed(home, 3, 400 * day);
    const server = await home.startServer([], { AUTOKESTRA_DISABLE_RUNTIME: "1" });
    await server.call("GET", "/api/v1/status");
    await server.stop();
    expect(countRows(home, "executions")).toEqual([3]);
  }, 60_000);
});
