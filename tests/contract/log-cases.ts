// Logs and blobs.
import { describe, expect, test } from "bun:test";
import { limits, sha256Hex } from "../../src/base/index.ts";
import type { LogLevel, LogSelection, LogSource, Store } from "../../src/storage/index.ts";
import { codeOf, draftOf, logOf, newTrace, openTrace, outcomeOf, requestOf, startedAt, type TestTrace } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const levels: readonly LogLevel[] = ["DEBUG", "INFO", "WARN", "ERROR"];
const sources: readonly LogSource[] = ["stdout", "stderr", "engine"];

/** Forty lines: tasks, levels and sources go round. */
async function fill(store: Store): Promise<TestTrace> {
  const trace = await openTrace(store);
  const lines = Array.from({ length: 40 }, (_, index) =>
    logOf(trace, {
      task: index % 5 === 0 ? null : `t${index % 2}`,
      level: levels[index % 4] ?? "INFO",
      source: sources[index % 3] ?? "stdout",
      message: `line ${index}`,
      time: startedAt + index,
    }),
  );
  const other = await openTrace(store);
  await store.appendLogs([logOf(other, { message: "another execution's" })]);
  await store.appendLogs(lines);
  return trace;
}

async function numbers(store: Store, selection: LogSelection): Promise<number[]> {
  return (await store.listLogs(selection)).map((line) => Number(line.message.split(" ")[1]));
}

const count = (from: number, to: number) => Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => (from < to ? from + index : from - index));

export function logCases(open: OpenStore): void {
  lineCases(open);
  textCases(open);
  blobCases(open);
}

function lineCases(open: OpenStore): void {
  describe("logs", () => {
    test("come in both orders, by page, without gap or repeat", async () => {
      const store = await open();
      const { traceId: executionId } = await fill(store);
      expect(await numbers(store, { executionId, order: "asc", limit: 100 })).toEqual(count(0, 39));
      expect(await numbers(store, { executionId, order: "desc", limit: 5 })).toEqual(count(39, 35));
      for (const order of ["asc", "desc"] as const) {
        const seen: number[] = [];
        let page = await store.listLogs({ executionId, order, limit: 7 });
        while (page.length > 0) {
          seen.push(...page.map((line) => Number(line.message.split(" ")[1])));
          page = await store.listLogs({ executionId, order, limit: 7, afterId: page.at(-1)?.id ?? 0 });
        }
        expect(seen).toEqual(order === "asc" ? count(0, 39) : count(39, 0));
      }
      expect(await numbers(store, { executionId, order: "desc", limit: 3, offset: 10 })).toEqual(count(29, 27));
      expect(await store.listLogs({ executionId: newTrace().traceId, order: "asc", limit: 5 })).toEqual([]);
    });

    test("are filtered by task, levels, sources and time, together and apart", async () => {
      const store = await open();
      const { traceId: executionId } = await fill(store);
      const all = await store.listLogs({ executionId, order: "desc", limit: 100 });
      const filters: Partial<LogSelection>[] = [
        { task: "t1" },
        { levels: ["ERROR"] },
        { levels: ["WARN", "ERROR"] },
        { levels: ["ERROR", "DEBUG", "ERROR"] },
        { levels: [] },
        { sources: ["stderr"] },
        { sources: ["stdout", "engine"] },
        { since: startedAt + 20 },
        { task: "t0", levels: ["WARN", "DEBUG"], sources: ["stdout"], since: startedAt + 3 },
        { levels },
        { levels: ["INFO", "WARN"], search: "3" },
      ];
      for (const filter of filters) {
        const fits = all.filter(
          (line) =>
            (filter.task === undefined || line.task === filter.task) &&
            (filter.levels === undefined || filter.levels.includes(line.level)) &&
            (filter.sources === undefined || filter.sources.includes(line.source)) &&
            (filter.since === undefined || line.time >= filter.since) &&
            (filter.search === undefined || line.message.includes(filter.search)),
        );
        const ask = (over: Partial<LogSelection>) => store.listLogs({ executionId, ...filter, order: "desc", limit: 100, ...over });
        expect(await ask({})).toEqual(fits);
        expect(await ask({ order: "asc" })).toEqual(fits.toReversed());
        expect(await ask({ limit: 2, offset: 1 })).toEqual(fits.slice(1, 3));
        expect(await ask({ afterId: fits[1]?.id ?? 0 })).toEqual(fits.slice(2));
      }
    });
  });
}

function textCases(open: OpenStore): void {
  describe("logs", () => {
    test("search takes text as it is", async () => {
      const store = await open();
      const trace = await openTrace(store);
      const messages = ["100% sure", "100 percent", "a_b", "axb", "back\\slash", 'it\'s "quoted"', "ünï", "*.ts"];
      await store.appendLogs(messages.map((message) => logOf(trace, { message })));
      const search = async (text: string) =>
        (await store.listLogs({ executionId: trace.traceId, order: "asc", limit: 50, search: text })).map((line) => line.message);
      expect(await search("%")).toEqual(["100% sure"]);
      expect(await search("_")).toEqual(["a_b"]);
      expect(await search("\\")).toEqual(["back\\slash"]);
      expect(await search("'s \"q")).toEqual(['it\'s "quoted"']);
      expect(await search("ï")).toEqual(["ünï"]);
      expect(await search("*")).toEqual(["*.ts"]);
      expect(await search("100")).toEqual(["100% sure", "100 percent"]);
    });

    test("ride in a commit, keep every member, and need their execution", async () => {
      const store = await open();
      const trace = await openTrace(store);
      const line = logOf(trace, { task: "a/b", itemIndex: 3, attempt: 2, level: "ERROR", source: "engine", message: "", metadata: '{"x":1}' });
      const outcomes = await store.commit([requestOf([draftOf(trace)], { logs: [line, logOf(trace)] })]);
      const ids = outcomes[0]?.ok === true ? outcomes[0].logIds : [];
      const stored = await store.listLogs({ executionId: trace.traceId, order: "asc", limit: 5 });
      expect(stored.map((found) => found.id)).toEqual(ids);
      expect(stored[0]).toEqual({ ...line, id: ids[0] ?? 0 });
      expect(await codeOf(store.appendLogs([logOf(newTrace())]))).toBe("EXECUTION_NOT_FOUND");
    });
  });
}

function blobCases(open: OpenStore): void {
  describe("blobs", () => {
    for (const size of [0, 10, limits.blobRowBytesMax, limits.blobRowBytesMax + 1])
      test(`of ${size} bytes come back as they were`, async () => {
        const store = await open();
        const trace = await openTrace(store);
        const bytes = new Uint8Array(size).map((_, index) => index % 251);
        const blob = { sha256: sha256Hex(bytes), bytes, contentType: "application/octet-stream" };
        expect(await store.findBlob(blob.sha256)).toBeNull();
        if (size > limits.blobRowBytesMax) await store.writeBlobFile(blob);
        for (let times = 0; times < 2; times += 1) expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { blobs: [blob] })]))).toBe("ok");
        const found = await store.findBlob(blob.sha256);
        expect(found?.contentType).toBe("application/octet-stream");
        expect(sha256Hex(found?.bytes ?? "")).toBe(blob.sha256);
        expect(found?.bytes.byteLength).toBe(size);
      });

    test("a blob that no commit named is not there", async () => {
      const store = await open();
      const bytes = new Uint8Array(limits.blobRowBytesMax + 1);
      await store.writeBlobFile({ sha256: sha256Hex(bytes), bytes, contentType: "text/plain" });
      expect(await store.findBlob(sha256Hex(bytes))).toBeNull();
    });
  });
}
