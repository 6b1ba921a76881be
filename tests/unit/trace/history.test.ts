// What released versions recorded folds today as it did then.
import { describe, expect, test } from "bun:test";
import type { TObject, TSchema } from "@sinclair/typebox";
import { OptionalKind } from "@sinclair/typebox";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../../src/base/index.ts";
import type { TraceEvent } from "../../../src/model/index.ts";
import { catalogue, definitionOf, sentText, toDraft, verifyStore } from "../../../src/trace/index.ts";
import { dumpTables, historyFolder, openMemory, writeHistory } from "./history.ts";

const versions = readdirSync(historyFolder)
  .filter((name) => name.endsWith(".jsonl"))
  .map((name) => name.replace(".jsonl", ""));
const linesOf = (name: string) =>
  readFileSync(join(historyFolder, `${name}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");
const tablesOf = (name: string) => JSON.parse(readFileSync(join(historyFolder, `${name}.tables.json`), "utf8")) as Record<string, unknown[]>;

/** `type path` of every member that a type may leave out. */
function optionalsOf(type: string, schema: TSchema, at = ""): string[] {
  const members = Object.entries((schema as Partial<TObject>).properties ?? {});
  return members.flatMap(([name, member]) => {
    const path = `${at}.${name}`;
    return [...(member[OptionalKind] === "Optional" ? [`${type} ${path}`] : []), ...optionalsOf(type, member, path)];
  });
}

function valueAt(payload: unknown, path: string): unknown {
  return path
    .split(".")
    .slice(1)
    .reduce<unknown>((value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined), payload);
}

describe("recorded histories", () => {
  test("there is one of this version", () => {
    expect(versions).toContain(version);
  });

  for (const name of versions)
    test(`${name}: a newer binary folds the older events to the tables of then`, async () => {
      const store = openMemory();
      for (const draft of linesOf(name).map((line) => toDraft(JSON.parse(line) as TraceEvent)))
        await store.apply(definitionOf(draft.type).project(draft));
      // Later versions may add columns and tables; what was recorded must all be there.
      expect(await dumpTables(store)).toMatchObject(tablesOf(name));
      await store.close();
    });

  test("this version's has every type, and every optional member both there and left out", () => {
    const events = linesOf(version).map((line) => JSON.parse(line) as TraceEvent);
    expect([...new Set(events.map((event) => event.event_type))].toSorted()).toEqual([...catalogue.keys()].toSorted());
    const optionals = new Set([...catalogue.values()].flatMap((definition) => optionalsOf(definition.type, definition.payload)));
    expect(optionals.has("trace.execution.created .parent")).toBe(true);
    for (const optional of optionals) {
      const [type, path = ""] = optional.split(" ");
      const payloads = events.filter((event) => event.event_type === type).map((event) => event.payload);
      const isThere = payloads.map((payload) => valueAt(payload, path) !== undefined);
      expect([optional, isThere.includes(true), isThere.includes(false)]).toEqual([optional, true, true]);
    }
  });

  test("written today, it gives the recorded bytes, and verifies down to its tables", async () => {
    const store = openMemory();
    await writeHistory(store);
    expect((await store.listEvents({ limit: 10_000 })).map(sentText)).toEqual(linesOf(version));
    const report = await verifyStore(store, { traceId: null, state: true }, openMemory);
    expect(report.problem).toBeNull();
    expect(report.events).toBe(linesOf(version).length);
    await store.close();
  });
});
