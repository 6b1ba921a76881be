// Files that attempts leave behind: in the event, in the output, and in the store only where the attempt succeeded.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findArtifactContent } from "../../src/app/verbs/artifacts.ts";
import { type Json, type JsonObject, limits, sha256Hex } from "../../src/base/index.ts";
import type { StoredArtifact } from "../../src/engine/index.ts";
import type { TraceEvent } from "../../src/model/index.ts";
import { done, failing, type Script } from "./scripted-invoker.ts";
import { World } from "./world.ts";

const folder = mkdtempSync(join(tmpdir(), "artifacts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

async function stored(world: World, name: string, text: string): Promise<StoredArtifact> {
  count += 1;
  const path = join(folder, String(count));
  writeFileSync(path, text);
  const imported = await world.store.importBlob({ path, bytesMax: limits.artifactBytesMax });
  return { name, contentType: "text/plain", ...imported };
}

const scripts = new Map<string, Script>();
async function open(): Promise<{ world: World; run: (tasks: JsonObject[], more?: JsonObject, inputs?: JsonObject) => Promise<string> }> {
  count += 1;
  const world = new World({
    path: join(folder, `store${count}`, "store.db"),
    scriptOf: ({ task, attempt }) => scripts.get(`${task} ${attempt}`) ?? done,
  });
  const process = world.launch();
  await world.pump(process.engine.start({ takesAll: true }));
  const run = async (tasks: JsonObject[], more: JsonObject = {}, inputs: JsonObject = {}) => {
    const id = await world.submit(process, await world.apply({ id: "flow", tasks, ...more }), { inputs });
    await world.end(id);
    return id;
  };
  return { world, run };
}

const task = (id: string, more: JsonObject = {}): JsonObject => ({ id, run: "true", ...more });
const leaves = (output: Json, artifacts: StoredArtifact[]): Script => ({ ms: 5, outcome: { ok: true, output, artifacts } });
const succeeded = async (world: World, id: string) =>
  (await world.events(id)).filter((event) => event.type === "trace.task.succeeded").map((event) => JSON.parse(event.body) as TraceEvent);

describe("what a successful attempt leaves behind", () => {
  test("is named by its event and its output, is in the store, and verifies", async () => {
    const { world, run } = await open();
    const a = await stored(world, "report.txt", "hello");
    const b = await stored(world, "sub/big.bin", "x".repeat(3 * limits.blobRowBytesMax));
    scripts.set("a 1", leaves({ rows: 3 }, [a, b]));
    const id = await run([task("a")], { outputs: { files: "{{ tasks.a.output.artifacts }}" } });
    const [event] = await succeeded(world, id);
    const uri = (artifact: StoredArtifact) => `artifact:${artifact.sha256}`;
    expect(event?.artifacts).toEqual([
      { name: "report.txt", uri: uri(a), sha256: a.sha256, content_type: "text/plain" },
      { name: "sub/big.bin", uri: uri(b), sha256: b.sha256, content_type: "text/plain" },
    ]);
    const files = [
      { name: "report.txt", uri: uri(a), size: 5 },
      { name: "sub/big.bin", uri: uri(b), size: 3 * limits.blobRowBytesMax },
    ];
    expect(event?.payload["output"]).toEqual({ rows: 3, artifacts: files });
    expect(JSON.parse((await world.execution(id)).outputs ?? "{}")).toEqual({ files });
    expect((await world.store.openBlob(b.sha256))?.size).toBe(b.size);
    expect(sha256Hex((await world.store.findBlob(a.sha256))?.bytes ?? "")).toBe(a.sha256);
    const report = await world.verify(true);
    expect([report.problem, report.blobs]).toEqual([null, 2]);
    await world.store.close();
  });

  const shapes: [Json, Json][] = [
    [null, {}],
    [[1, 2], { value: [1, 2] }],
    ["text", { value: "text" }],
    [{ artifacts: "own" }, {}],
  ];
  test("joins an output of any form", async () => {
    for (const [output, expected] of shapes) {
      const { world, run } = await open();
      const file = await stored(world, "f", JSON.stringify(output));
      scripts.set("a 1", leaves(output, [file]));
      const id = await run([task("a")]);
      const artifacts = [{ name: "f", uri: `artifact:${file.sha256}`, size: file.size }];
      expect((await succeeded(world, id))[0]?.payload["output"]).toEqual({ ...(expected as JsonObject), artifacts });
      await world.store.close();
    }
  });

  test("is nothing where there is nothing", async () => {
    const { world, run } = await open();
    scripts.set("a 1", leaves([1], []));
    const [event] = await succeeded(world, await run([task("a")]));
    expect([event?.payload["output"], event?.artifacts]).toEqual([[1], undefined]);
    await world.store.close();
  });

  test("stands beside a large output that became a blob itself", async () => {
    const { world, run } = await open();
    const file = await stored(world, "output", "the file");
    scripts.set("a 1", leaves({ text: "x".repeat(limits.payloadValueBytesMax) }, [file]));
    const id = await run([task("a")]);
    const [event] = await succeeded(world, id);
    expect(event?.artifacts?.map(({ name }) => name)).toEqual(["output", "output"]);
    expect((await world.verify(true)).problem).toBeNull();
    expect(await findArtifactContent(world.store, id, file.sha256)).not.toBeNull();
    // The blob that holds the payload's value is none of the task's files.
    const value = event?.artifacts?.find(({ sha256 }) => sha256 !== file.sha256)?.sha256 ?? "";
    expect(await world.store.openBlob(value)).not.toBeNull();
    expect(await findArtifactContent(world.store, id, value)).toBeNull();
    await world.store.close();
  });
});

test("a failed attempt leaves nothing behind; the successful one after it does", async () => {
  const { world, run } = await open();
  const file = await stored(world, "f", "second");
  scripts.set("a 1", { ms: 5, outcome: failing() });
  scripts.set("a 2", leaves({}, [file]));
  const id = await run([task("a", { retry: { max: 2, delay: "1s" } })]);
  const events = (await world.events(id)).filter((event) => event.body.includes('"artifacts":['));
  expect(events.map((event) => [event.type, event.payload["attempt"]])).toEqual([["trace.task.succeeded", 2]]);
  await world.store.close();
});

test("a result whose files are gone from the store gives the execution up instead of naming them", async () => {
  const { world, run } = await open();
  const file = { name: "f", sha256: "a".repeat(64), size: 1, contentType: "text/plain" };
  scripts.set("a 1", leaves({}, [file]));
  scripts.set("a 2", leaves({}, []));
  const id = await run([task("a", { retry: { max: 2 } })]);
  expect((await world.events(id)).map((event) => event.type.replace("trace.", ""))).toContain("task.lost");
  expect((await world.execution(id)).state).toBe("SUCCESS");
  await world.store.close();
});

describe("inputs.files", () => {
  test("take what a task of the execution left behind, or its inputs name, and nothing else", async () => {
    const { world, run } = await open();
    const mine = await stored(world, "mine", "mine");
    const large = await stored(world, "large", "l".repeat(2 * limits.blobRowBytesMax));
    scripts.set("a 1", leaves({}, [mine, large]));
    const inputs = [{ id: "given", type: "object", default: {} }];
    const first = await run([task("a")], { inputs });
    scripts.delete("a 1");
    const content = await findArtifactContent(world.store, first, large.sha256);
    expect(content !== null && "path" in content && sha256Hex(await Bun.file(content.path).bytes())).toBe(large.sha256);
    const other = await run([task("a")], { inputs }, { given: { file: `artifact:${large.sha256}` } });
    const has = async (id: string, sha256: string) => (await findArtifactContent(world.store, id, sha256)) !== null;
    expect([await has(other, large.sha256), await has(other, mine.sha256), await has(first, mine.sha256)]).toEqual([true, false, true]);
    for (const sha256 of ["0".repeat(64), "", "nothing"]) expect(await has(first, sha256)).toBe(false);
    await world.store.close();
  });
});
