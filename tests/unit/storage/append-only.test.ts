// Events stay as they were written: the database itself refuses, whoever connects and however it is asked.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { draftOf, openTrace, requestOf } from "../../contract/requests.ts";
import { temporaryStores } from "./temporary.ts";

const { open, path } = temporaryStores();

/** A store with three events, closed, and a connection of nobody's making to it. */
async function openRaw(): Promise<Database> {
  const at = path();
  const store = open(at);
  const trace = await openTrace(store);
  await store.commit([requestOf([draftOf(trace), draftOf(trace)])]);
  return new Database(at);
}

const columns = "seq, trace, sequence, event_id, type, severity, time, hash, body";
const changes: [string, string][] = [
  ["update of the body", "update events set body = '{}' where seq = 2"],
  ["update of any column", "update events set time = time + 1 where seq = 2"],
  ["update or replace", "update or replace events set seq = 2 where seq = 3"],
  ["update or ignore", "update or ignore events set seq = 9 where seq = 3"],
  ["delete of one", "delete from events where seq = 3"],
  ["delete of all", "delete from events"],
  [
    "replace of a seq",
    `insert or replace into events (${columns}) select seq, trace, 99, randomblob(16), type, severity, time, hash, 'x' from events where seq = 2`,
  ],
  [
    "replace of an event id",
    `replace into events (${columns}) select 99, trace, 99, event_id, type, severity, time, hash, 'x' from events where seq = 2`,
  ],
  [
    "replace of a place in the trace",
    `insert or replace into events (${columns}) select 99, trace, sequence, randomblob(16), type, severity, time, hash, 'x' from events where seq = 2`,
  ],
  ["upsert", `insert into events (${columns}) select * from events where seq = 2 on conflict do update set body = 'x'`],
  ["a tombstone that no event stands behind", "insert into tombstones select trace_id, 1 from traces; delete from events"],
];

describe("[CRA-0.22] [CRA-X07] [CRA-X15] the ledger is append-only", () => {
  for (const [name, sql] of changes)
    test(`${name} is refused`, async () => {
      const raw = await openRaw();
      const before = raw.query("select * from events").all();
      expect(() => raw.run(sql)).toThrow("events are append-only");
      expect(raw.query("select * from events").all()).toEqual(before);
      raw.close();
    });

  test("a trace leaves when its tombstone stands in the store", async () => {
    const at = path();
    const store = open(at);
    const trace = await openTrace(store);
    const system = await openTrace(store, "system");
    await store.commit([requestOf([draftOf(system, { type: "trace.ledger.pruned", payload: { trace_id: trace.traceId, count: 1 } })])]);
    const raw = new Database(at);
    raw.run("insert into tombstones values (?, 3)", [trace.traceId]);
    expect(() => raw.run("delete from events where seq = 2")).toThrow("events are append-only");
    expect(raw.run("delete from events where seq = 1").changes).toBe(1);
    raw.close();
  });

  test("a guard that was dropped or softened is missed", async () => {
    const at = path();
    const store = open(at);
    const raw = new Database(at);
    raw.run("drop trigger events_no_update");
    raw.run("drop trigger events_no_delete");
    raw.run("create trigger events_no_delete before delete on events when 0 begin select raise(abort, 'events are append-only'); end");
    raw.close();
    expect((await store.missingGuards()).toSorted()).toEqual(["events_no_delete", "events_no_update"]);
  });
});
