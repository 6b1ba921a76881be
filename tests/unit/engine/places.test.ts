// Who gets a place and a slot: in order, fairly, and nobody who is next is ever left asleep.
import { describe, expect, test } from "bun:test";
import { assert, integer, property } from "fast-check";
import { Places } from "../../../src/engine/places.ts";
import { type Random, seededRandom } from "../../flow/fake-time.ts";

describe("places", () => {
  test("are taken up to the limit, then in the order of asking; who leaves wakes the next", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 2, tasks: 1 }, (id) => void woken.push(id));
    expect(["a", "b", "c", "d"].map((id) => places.enter(id, false))).toEqual([true, true, false, false]);
    expect([places.queued, places.enter("d", false)]).toEqual([2, false]);
    places.leave("a");
    expect(woken).toEqual(["c"]);
    expect([places.enter("d", false), places.enter("c", false), places.enter("d", false)]).toEqual([false, true, false]);
  });

  test("one that has begun comes before new ones", () => {
    const places = new Places({ executions: 1, tasks: 1 }, () => undefined);
    places.enter("a", false);
    places.enter("new", false);
    places.enter("old", true);
    places.leave("a");
    expect([places.enter("new", false), places.enter("old", true)]).toEqual([false, true]);
  });

  test("one that leaves the line while it is next hands its turn on", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 1, tasks: 1 }, (id) => void woken.push(id));
    for (const id of ["a", "b", "c"]) places.enter(id, false);
    places.leave("a");
    places.leave("b");
    expect(woken).toEqual(["b", "c"]);
    expect(places.enter("c", false)).toBe(true);
  });

  test("who enters wakes the next where there is room for more", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 2, tasks: 1 }, (id) => void woken.push(id));
    for (const id of ["a", "b", "c", "d"]) places.enter(id, false);
    places.leave("a");
    places.leave("b");
    expect(woken).toEqual(["c", "c"]);
    places.enter("c", false);
    expect(woken).toEqual(["c", "c", "d"]);
  });

  test("thousands that end at once do not wake each other ever deeper", () => {
    const ended = new Set<string>();
    const places: Places = new Places({ executions: 1, tasks: 1 }, (id) => {
      if (places.enter(id, false)) {
        ended.add(id);
        places.leave(id);
      }
    });
    places.enter("first", false);
    for (let index = 0; index < 20_000; index += 1) places.enter(`e${index}`, false);
    places.leave("first");
    expect(ended.size).toBe(20_000);
  });

  test("once closed nothing new begins", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 1, tasks: 1 }, (id) => void woken.push(id));
    places.enter("a", false);
    places.enter("b", false);
    places.close();
    places.leave("a");
    expect([woken, places.enter("b", false), places.slotsFor("b")]).toEqual([[], false, 0]);
  });
});

describe("slots", () => {
  test("all free ones go to whoever asks while nobody is in line; then one by one, by turns", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 9, tasks: 3 }, (id) => void woken.push(id));
    expect(places.slotsFor("wide")).toBe(3);
    for (let count = 0; count < 3; count += 1) places.takeSlot("wide");
    places.settle("wide", true);
    places.settle("small", true);
    const turns: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      places.giveSlot(round % 2 === 0 ? "wide" : (turns.at(-1) ?? "wide"));
      const next = woken.at(-1) ?? "";
      turns.push(next);
      expect(places.slotsFor(next)).toBe(1);
      expect(places.slotsFor("third")).toBe(0);
      places.takeSlot(next);
      places.settle(next, true);
    }
    expect(turns).toEqual(["wide", "small", "wide", "small", "wide", "small"]);
  });

  test("a slot that was set aside and is not wanted any more goes on to the next", () => {
    const woken: string[] = [];
    const places = new Places({ executions: 9, tasks: 1 }, (id) => void woken.push(id));
    places.takeSlot("a");
    places.settle("b", true);
    places.settle("c", true);
    places.giveSlot("a");
    expect(woken).toEqual(["b"]);
    places.settle("b", false);
    expect(woken).toEqual(["b", "c"]);
    expect([places.slotsFor("b"), places.slotsFor("c")]).toEqual([0, 1]);
  });

  test("two that come free at once go to two in line", () => {
    const seen: [string, number][] = [];
    const places: Places = new Places({ executions: 9, tasks: 2 }, (id) => void seen.push([id, places.slotsFor(id)]));
    places.takeSlot("a");
    places.takeSlot("a");
    places.settle("b", true);
    places.settle("c", true);
    places.leave("a");
    expect(seen).toEqual([
      ["b", 1],
      ["c", 1],
    ]);
  });

  test("who leaves gives everything back, also what was only set aside", () => {
    const places = new Places({ executions: 9, tasks: 2 }, () => undefined);
    places.takeSlot("a");
    places.takeSlot("a");
    places.settle("b", true);
    places.giveSlot("a");
    places.leave("b");
    places.leave("a");
    places.giveSlot("a");
    expect(places.slotsFor("c")).toBe(2);
  });
});

/** Executions as runners use places: each needs so many slots, holds them for a while, and may be busy when it is woken. */
function market(seed: number): { left: number; most: number } {
  const random: Random = seededRandom(seed);
  const tasksMax = 1 + Math.floor(random() * 4);
  const wants = new Map(Array.from({ length: 8 }, (_, index) => [`e${index}`, 1 + Math.floor(random() * 6)]));
  const busy = new Set<string>();
  const poked = new Set<string>();
  const running: string[] = [];
  let most = 0;
  const places: Places = new Places({ executions: 1 + Math.floor(random() * 4), tasks: tasksMax }, (id) => decide(id));
  function decide(id: string): void {
    if (busy.has(id)) return void poked.add(id);
    let lacks = false;
    if ((wants.get(id) ?? 0) > 0 && places.enter(id, false)) {
      while ((wants.get(id) ?? 0) > 0 && places.slotsFor(id) > 0) {
        places.takeSlot(id);
        running.push(id);
        wants.set(id, (wants.get(id) ?? 0) - 1);
        busy.add(id);
      }
      lacks = (wants.get(id) ?? 0) > 0;
    }
    places.settle(id, lacks);
    most = Math.max(most, running.length);
    if ((wants.get(id) ?? 0) === 0 && !running.includes(id)) places.leave(id);
  }
  for (const id of wants.keys()) decide(id);
  for (let moves = 0; moves < 1000 && (running.length > 0 || busy.size > 0); moves += 1) {
    const [freed] = [...busy].toSorted(() => random() - 0.5);
    if (freed !== undefined && random() < 0.5) {
      busy.delete(freed);
      poked.delete(freed);
      decide(freed);
    } else if (running.length > 0) {
      const [ended] = running.splice(Math.floor(random() * running.length), 1);
      places.giveSlot(ended ?? "");
      decide(ended ?? "");
    }
  }
  expect(most).toBeLessThanOrEqual(tasksMax);
  return { left: [...wants.values()].reduce((sum, count) => sum + count, 0), most };
}

test("whatever the order of events, everyone is served in the end", () => {
  assert(
    property(integer({ min: 1, max: 1_000_000 }), (seed) => expect(market(seed).left).toBe(0)),
    { numRuns: 500 },
  );
});
