// The digest of an execution, and folding: what is equal for equal runs, and the same after a restart.
import { describe, expect, test } from "bun:test";
import { assert, integer, property } from "fast-check";
import type { JsonObject } from "../../../src/base/index.ts";
import { randomScenario } from "../../sim/scenario.ts";
import { seededRandom } from "../../flow/fake-time.ts";
import { begin, failed, PureRun, shape, task } from "./pure-run.ts";

describe("digest", () => {
  const tasks = [task("a", { retry: { max: 3, delay: "1s", jitter: true } }), task("b", { onLost: "retry" }), task("c", { needs: ["a", "b"] })];
  const declared = { inputs: [{ id: "x", type: "integer" }], outputs: { n: "{{ tasks.a.output.n }}" } };
  const end = (run: PureRun, output: JsonObject = { n: 1 }) => run.end("b").end("a", output).end("c");
  const digestOf = (run: PureRun) => run.machine.digest;

  test("[WF-03] runs with equal inputs and outcomes have equal ends and digests, whatever times, order and attempts were", () => {
    const plain = begin(tasks, declared, { x: 1 });
    plain.end("a", { n: 1 }).end("b").end("c");
    const winding = begin(tasks, declared, { x: 1 });
    winding.drawn = 0.01;
    winding.advance(77_000).end("a", failed()).wake();
    end(winding.crash(), { n: 1 });
    expect(winding.state).toBe(plain.state);
    expect(winding.machine.outputs).toEqual(plain.machine.outputs);
    expect(digestOf(winding)).toBe(digestOf(plain));
    expect(digestOf(plain)).toMatch(/^[0-9a-f]{64}$/);
  });

  test("other inputs, outputs, states or errors make another digest", () => {
    const digests = [
      end(begin(tasks, declared, { x: 1 })),
      end(begin(tasks, declared, { x: 2 })),
      end(begin(tasks, declared, { x: 1 }), { n: 2 }),
      end(begin(tasks, declared, { x: 1 }), { n: 1, more: true }),
      begin(tasks, declared, { x: 1 }).end("b").end("a", failed("BAD", false)),
      begin(tasks, declared, { x: 1 }).end("b").end("a", failed("WORSE", false)),
      begin(tasks, declared, { x: 1 }).cancel().end("a").end("b"),
    ].map(digestOf);
    expect(digests.every((digest) => digest !== null)).toBe(true);
    expect(new Set(digests).size).toBe(digests.length);
  });
});

/** Moves an execution at random until it ends; calls `look` after each move. */
function wander(run: PureRun, seed: number, look: () => void): void {
  const random = seededRandom(seed);
  run.settle();
  for (let moves = 0; moves < 300 && run.machine.endedAt === null; moves += 1) {
    look();
    const roll = random();
    const [first] = run.running.toSorted(() => random() - 0.5);
    if (roll < 0.04) run.cancel();
    else if (roll < 0.12 && first !== undefined) run.crash();
    else if (roll < 0.75 && first !== undefined) run.end(first, random() < 0.6 ? { n: 1 } : failed("PLUGIN_EXIT", random() < 0.8));
    else run.advance(Math.floor(random() * 1500));
  }
  look();
}

test("folding the events again gives the live machine, at every moment of any run", () => {
  let ends = 0;
  const restartsAnywhere = property(integer({ min: 1, max: 1_000_000 }), (seed) => {
    const [workflow] = randomScenario(seed).workflows;
    const { id: _id, ...definition } = workflow ?? {};
    const run = new PureRun(definition);
    run.slots = 1 + (seed % 3);
    wander(run, seed, () => {
      const live = shape(run.machine) as { stop: unknown };
      const folded = shape(run.restored()) as { stop: unknown };
      // A stop that has hit nothing yet has left no event: it is asked for again after a restart.
      if (live.stop !== null && folded.stop === null) live.stop = null;
      else if (live.stop !== null) live.stop = { ...live.stop, active: null };
      if (folded.stop !== null) folded.stop = { ...folded.stop, active: null };
      expect(folded).toEqual(live);
    });
    if (run.machine.endedAt !== null) ends += 1;
  });
  assert(restartsAnywhere, { numRuns: 300 });
  expect(ends).toBeGreaterThan(200);
});
