// What must hold after any run, whatever went wrong in it.
import type { JsonObject } from "../../src/base/index.ts";
import type { CommittedEvent, StoredEvent } from "../../src/storage/index.ts";
import type { World } from "../flow/world.ts";

type Read = StoredEvent & { payload: JsonObject };

const ends = new Set(["trace.execution.succeeded", "trace.execution.failed", "trace.execution.cancelled"]);
const attemptEnds = new Set(["trace.task.succeeded", "trace.task.failed", "trace.task.cancelled", "trace.task.lost"]);
const finals = new Set(["trace.task.succeeded", "trace.task.skipped", "trace.task.cancelled"]);

export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Invariant broken: ${what}`);
}

/** Every event that anyone was told of stands in the store as it was told. */
export async function checkAcknowledged(world: World, acknowledged: readonly CommittedEvent[]): Promise<void> {
  const stored = new Map<number, StoredEvent>();
  for (const event of await world.store.listEvents({ limit: 1_000_000 })) stored.set(event.seq, event);
  check(stored.size === (await world.store.lastSeq()), "seq has gaps");
  for (const { seq, hash, draft } of acknowledged)
    check(stored.get(seq)?.hash === hash, `acknowledged event ${seq} ${draft.type} is not what was stored`);
}

/** The history of one execution is one that the rules of the engine allow. */
export async function checkExecution(world: World, id: string): Promise<void> {
  const events = (await world.events(id)) as Read[];
  const endAt = events.findIndex((event) => ends.has(event.type));
  check(endAt === events.length - 1, `execution ${id} does not end with its end, or has two`);
  check(
    events.filter((event) => event.type === "trace.execution.created").length === 1 && events[0]?.type === "trace.execution.created",
    `${id} begins once`,
  );
  const byTask = Map.groupBy(
    events.filter((event) => event.type.startsWith("trace.task.")),
    (event) => `${String(event.payload["task"])} ${String(event.payload["item_index"])}`,
  );
  for (const [run, own] of byTask) checkTask(`${id} ${run}`, own);
  checkDenials(id, events);
  const rows = await world.store.listTaskRuns(id);
  for (const row of rows) check(["SUCCESS", "FAILED", "CANCELLED", "SKIPPED"].includes(row.state), `${id} ${row.task} is left ${row.state}`);
}

function checkTask(name: string, events: readonly Read[]): void {
  // A task with items ends with the last of them, unless all that never began were cancelled together.
  if (events.some((event) => event.type === "trace.task.expanded")) return;
  let attempt = 0;
  let isOpen = false;
  let isFinal = false;
  for (const event of events) {
    check(!isFinal, `${name} goes on after its end with ${event.type}`);
    if (event.type === "trace.task.started") {
      check(!isOpen, `${name} has two attempts at once`);
      check(event.payload["attempt"] === attempt + 1, `${name} attempt ${String(event.payload["attempt"])} follows ${attempt}`);
      attempt += 1;
      isOpen = true;
    } else if (attemptEnds.has(event.type)) isOpen = false;
    isFinal = finals.has(event.type) || (event.type === "trace.task.failed" && event.payload["will_retry"] === false);
  }
  check(isFinal, `${name} has no end`);
}

/** A denial stands between the start and the end of its attempt, and once. */
function checkDenials(id: string, events: readonly Read[]): void {
  const open = new Set<string>();
  const known = new Set<string>();
  for (const { type, payload } of events) {
    const name = `${String(payload["task"])} ${String(payload["item_index"])} ${String(payload["attempt"])}`;
    if (type === "trace.task.started") open.add(name);
    else if (attemptEnds.has(type)) open.delete(name);
    if (type !== "trace.permission.denied") continue;
    const what = `${name} ${JSON.stringify([payload["kind"], payload["target"], payload["rule"]])}`;
    check(open.has(name), `${id} ${name} is denied something while it does not run`);
    check(!known.has(what), `${id} is told twice of ${what}`);
    known.add(what);
  }
}

/** What is masked is nowhere in the open: not in events, rows and logs. */
export async function checkMasked(world: World, executions: readonly string[], value: string): Promise<void> {
  const events = await world.store.listEvents({ limit: 1_000_000 });
  check(!events.some((event) => event.body.includes(value)), "a secret stands in an event");
  for (const id of executions) {
    const logs = await world.store.listLogs({ executionId: id, order: "asc", limit: 100_000 });
    const rows = [await world.store.findExecution(id), await world.store.listTaskRuns(id), logs];
    check(!JSON.stringify(rows).includes(value), `a secret stands in rows or logs of ${id}`);
  }
}

/** Nothing is left behind: no command unanswered, no claim held, no attempt running, no runner. */
export async function checkClean(world: World, executions: readonly string[], mayLeaveClaim: (owner: string) => boolean): Promise<void> {
  const commands = await world.store.listCommands(null);
  check(commands.length === 0, `${commands.length} commands are unanswered`);
  const claims = await world.store.findClaims(executions.map((id) => `execution:${id}`));
  const held = claims.filter((claim) => !mayLeaveClaim(claim.owner));
  check(held.length === 0, `claims are left: ${held.map((claim) => claim.resource).join()}`);
  check(world.stage.running.length === 0, `attempts still run: ${world.stage.running.join()}`);
}
