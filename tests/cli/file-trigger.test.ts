// File triggers of the real product: files that grow, are renamed into place, come in crowds and while nobody looks.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, type Server, until } from "../product/binary.ts";

const source = (paths: string, more = "") => `
id: files
inputs: [{ id: name, type: string }${more}]
triggers:
  - { id: drop, type: file, paths: [${paths}], settle: 500ms, inputs: { name: "{{ trigger.body.name }}" } }
tasks:
  - { id: a, type: core/value.set, inputs: { body: "{{ trigger.body }}" } }
outputs: { body: "{{ tasks.a.output.body }}" }
`;

type Body = { path: string; name: string; size: number; mtime: string };
type Item = { executionId: string; state: string; reasonCode: string | null; createdAt: string };

class Place {
  readonly home = new Home();
  readonly inbox = this.home.path("in");

  constructor() {
    mkdirSync(this.inbox);
  }

  at(name: string): string {
    return join(this.inbox, name);
  }

  /** Applied from its file, so that its paths are relative to where it lies. */
  async apply(paths: string, more = ""): Promise<void> {
    writeFileSync(this.home.path("files.yaml"), source(paths, more));
    const { code, stderr } = await this.home.run(["apply", "files.yaml"]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
  }

  /** With a trigger that has looked once. */
  async ready(paths: string, config: readonly string[] = []): Promise<Server> {
    const server = await this.home.startServer(config);
    await this.apply(paths);
    await this.looked(true);
    return server;
  }

  /** Whether the trigger has looked is in the store alone. */
  async looked(wanted: boolean): Promise<void> {
    const store = existsSync(this.shared) ? this.shared : join(this.home.data, "autokestra.db");
    await until(() => {
      const db = new Database(store, { readonly: true });
      const { count } = db.query<{ count: number }, []>("select count(*) as count from watches").get() ?? { count: 0 };
      db.close();
      return count > 0 === wanted ? true : null;
    });
  }

  /** The store that servers share, where they do. */
  get shared(): string {
    return this.home.path("store/store.db");
  }
}

async function executions(server: Server): Promise<Item[]> {
  const { body } = await server.call("GET", "/api/v1/executions?workflow=files&limit=500");
  return (body as { executions: Item[] }).executions.toReversed();
}

async function bodyOf(server: Server, id: string): Promise<Body | null> {
  const { body } = await server.call("GET", `/api/v1/executions/${id}`);
  const { execution } = body as { execution: { endedAt: string | null; outputs: { body: Body } | null } };
  return execution.endedAt === null ? null : (execution.outputs?.body ?? null);
}

/** Bodies of all executions of files with such a name, once there are so many. */
async function bodies(server: Server, prefix: string, count: number): Promise<Body[]> {
  return until(async () => {
    const found = await Promise.all((await executions(server)).map(({ executionId }) => bodyOf(server, executionId)));
    const named = found.filter((body): body is Body => body?.name.startsWith(prefix) === true);
    return named.length >= count && !found.includes(null) ? named : null;
  }, 30_000);
}

describe("[WF-19] file triggers", () => {
  test("a file that grows fires once, when it has come to rest; one that is renamed into place too; others never", async () => {
    const place = new Place();
    writeFileSync(place.at("old.csv"), "was there before");
    const server = await place.ready("in/*.csv");
    for (let part = 0; part < 12; part += 1) {
      appendFileSync(place.at("slow.csv"), "0123456789");
      await Bun.sleep(150);
    }
    // It was never at rest for so long.
    expect(await executions(server)).toEqual([]);
    writeFileSync(place.home.path("made.tmp"), "whole");
    renameSync(place.home.path("made.tmp"), place.at("made.csv"));
    writeFileSync(place.at("gone.csv"), "x");
    rmSync(place.at("gone.csv"));
    writeFileSync(place.at(".hidden.csv"), "x");
    writeFileSync(place.at("other.txt"), "x");
    mkdirSync(place.at("folder.csv"));
    writeFileSync(place.home.path("secret.csv"), "x");
    symlinkSync(place.home.path("secret.csv"), place.at("link.csv"));
    const [slow] = await bodies(server, "slow", 1);
    const { size, mtimeMs } = statSync(place.at("slow.csv"));
    expect(slow).toEqual({ path: place.at("slow.csv"), name: "slow.csv", size, mtime: new Date(Math.floor(mtimeMs)).toISOString() });
    expect(size).toBe(120);
    expect(await bodies(server, "made", 1)).toMatchObject([{ name: "made.csv", size: 5 }]);
    // What is written again is another version.
    appendFileSync(place.at("made.csv"), " more");
    expect((await bodies(server, "made", 2)).map(({ size: bytes }) => bytes)).toEqual([5, 10]);
    const names = (await bodies(server, "", 3)).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["made.csv", "made.csv", "slow.csv"]);
    await server.stop();
  }, 90_000);

  test("a crowd of files fires each once, with two servers on one store and a kill -9 of one", async () => {
    const place = new Place();
    const other = new Home();
    writeFileSync(place.home.path("c.yaml"), `storage: { path: ${JSON.stringify(place.shared)} }\n`);
    const config = ["-c", place.home.path("c.yaml")];
    const one = await place.ready("in/**/*.csv", config);
    const two = await other.startServer(config);
    mkdirSync(place.at("deep/er"), { recursive: true });
    const names = Array.from({ length: 60 }, (_, index) => `crowd-${String(index).padStart(2, "0")}.csv`);
    for (const [index, name] of names.entries()) writeFileSync(place.at(index % 2 === 0 ? name : `deep/er/${name}`), name);
    await until(async () => ((await executions(two)).length > 10 ? true : null), 20_000);
    const { stderr } = await one.kill();
    const found = (await bodies(two, "crowd", names.length)).map(({ name }) => name).toSorted();
    expect(found).toEqual(names);
    expect(stderr).not.toContain("given up");
    expect((await two.stop()).stderr).not.toContain("given up");
  }, 120_000);

  test("what comes while no server runs fires at the next start, whatever its time says; what fired does not again", async () => {
    const place = new Place();
    const first = await place.ready("in");
    writeFileSync(place.at("a.csv"), "a");
    await bodies(first, "a", 1);
    const before = (await executions(first)).length;
    await first.kill();
    writeFileSync(place.at("b.csv"), "b");
    writeFileSync(place.at("c.csv"), "c");
    utimesSync(place.at("c.csv"), 1_000_000_000, 1_000_000_000);
    const second = await place.home.startServer();
    const names = async () => (await bodies(second, "", before + 2)).slice(before).map(({ name }) => name);
    // Oldest first.
    expect(await names()).toEqual(["c.csv", "b.csv"]);
    await second.stop();
    const third = await place.home.startServer();
    writeFileSync(place.at("d.csv"), "d");
    await bodies(third, "d", 1);
    expect((await executions(third)).length).toBe(before + 3);
    // What comes while the workflow is disabled is not made up for.
    await third.call("PATCH", "/api/v1/workflows/files", { enabled: false });
    await place.looked(false);
    writeFileSync(place.at("e.csv"), "e");
    await third.call("PATCH", "/api/v1/workflows/files", { enabled: true });
    await place.looked(true);
    writeFileSync(place.at("f.csv"), "f");
    await bodies(third, "f", 1);
    expect((await bodies(third, "", 0)).map(({ name }) => name).toSorted()).toEqual(["a.csv", "b.csv", "c.csv", "d.csv", "f.csv"]);
    await third.stop();
  }, 120_000);

  test("a folder that is missing is told once and in health, and fires when it appears; inputs that do not fit make a failed execution", async () => {
    const place = new Place();
    const server = await place.home.startServer();
    await place.apply('"later/*.csv"', ", { id: must, type: string, required: true }");
    const health = async () => ((await server.call("GET", "/api/v1/triggers/health")).body as { triggers: { reason: string }[] }).triggers;
    expect(await health()).toEqual([
      { workflowId: "files", id: "drop", expectedAt: null, lastFiredAt: null, reason: "FILE_NOT_FOUND" },
    ] as object[] as never);
    const { body } = await server.call("GET", "/api/v1/triggers");
    expect((body as { triggers: object[] }).triggers).toMatchObject([{ type: "file", paths: ["later/*.csv"], last: null }]);
    // Two looks at what is not there.
    await Bun.sleep(3500);
    mkdirSync(place.home.path("later"));
    writeFileSync(place.home.path("later/x.csv"), "x");
    const [item] = await until(async () => {
      const found = await executions(server);
      return found.length > 0 ? found : null;
    }, 15_000);
    expect(item).toMatchObject({ state: "FAILED", reasonCode: "INVALID_INPUT" });
    expect(await health()).toEqual([]);
    const { stderr } = await server.stop();
    expect(stderr.split("it is not there").length - 1).toBe(1);
  }, 60_000);

  test("AUTOKESTRA_DISABLE_RUNTIME=1: nothing fires, and for the next server it was there before", async () => {
    const place = new Place();
    const idle = await place.home.startServer([], { AUTOKESTRA_DISABLE_RUNTIME: "1" });
    await place.apply("in");
    writeFileSync(place.at("a.csv"), "a");
    // That nothing comes can only be seen when time has passed.
    await Bun.sleep(2000);
    expect(await executions(idle)).toEqual([]);
    await idle.stop();
    const server = await place.home.startServer();
    await place.looked(true);
    writeFileSync(place.at("b.csv"), "b");
    expect((await bodies(server, "", 1)).map(({ name }) => name)).toEqual(["b.csv"]);
    await server.stop();
  }, 30_000);
});
