// One byte of an event changed in the database file: `trace verify` says so, with exit 7 and the event.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";

type Broken = { error: { code: string; details: { event_id: string; seq: number } } };

test("editing one byte of an event in the database file makes verify exit 7 and name the event", async () => {
  const home = new Home();
  await Bun.write(home.path("w.yaml"), `id: w\ntasks: [{ id: a, type: core/value.set, inputs: { mark: needle-in-the-event } }]\n`);
  expect((await home.run(["run", "w.yaml"])).code).toBe(0);
  expect((await home.run(["trace", "verify", "--all", "--state"])).code).toBe(0);
  const path = join(home.data, "autokestra.db");
  const db = new Database(path);
  db.run("pragma wal_checkpoint(truncate)");
  const row = db.query("select seq, body from events where body like '%needle-in-the-event%' and body like '%trace.task.succeeded%'").get() as {
    seq: number;
    body: string;
  };
  db.close();
  const { event_id } = JSON.parse(row.body) as { event_id: string };
  const bytes = readFileSync(path);
  // The text also stands in other rows: the event's own copy is the one inside its whole body.
  const at = bytes.indexOf(row.body) + row.body.indexOf("needle-in-the-event");
  expect(bytes.indexOf(row.body)).toBeGreaterThan(0);
  bytes[at] = "N".charCodeAt(0);
  writeFileSync(path, bytes);
  const verified = await home.run(["trace", "verify", "--all", "--json"]);
  expect(verified.code).toBe(7);
  const { error } = JSON.parse(verified.stderr) as Broken;
  expect(error.code).toBe("TRACE_CHAIN_BROKEN");
  expect(error.details).toMatchObject({ event_id, seq: row.seq });
});
