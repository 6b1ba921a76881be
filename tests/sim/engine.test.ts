// Thousands of simulated runs with faults. A failure names its seed; `SIM_SEED=n` runs that one alone and prints its history.
import { expect, test } from "bun:test";
import { type Faults, noFaults, randomFaults } from "./faults.ts";
import { randomScenario, type Scenario } from "./scenario.ts";
import { type Outcome, simulate } from "./simulation.ts";

/** With both, more than 10,000 runs in which a process died. */
const systematicRunsMin = 6000;
const randomRuns = 5000;
/** Folding a store again doubles the cost of a run, so only some do. */
const verifyStateEvery = 10;

const only = process.env["SIM_SEED"] === undefined ? null : Number(process.env["SIM_SEED"]);

type Totals = {
  runs: number;
  crashRuns: number;
  lost: number;
  denied: number;
  cancels: number;
  refusals: number;
  freezes: number;
  states: Map<string, number>;
};

function newTotals(): Totals {
  return { runs: 0, crashRuns: 0, lost: 0, denied: 0, cancels: 0, refusals: 0, freezes: 0, states: new Map() };
}

async function run(totals: Totals, scenario: Scenario, faults: Faults, where: string): Promise<Outcome> {
  const verifyState = only !== null || totals.runs % verifyStateEvery === 0;
  const outcome = await simulate(scenario, faults, { verifyState, tell: only !== null }).catch((cause: unknown) => {
    throw new Error(`SIM_SEED=${scenario.seed} (${where}): ${String(cause)}`, { cause });
  });
  totals.runs += 1;
  totals.crashRuns += outcome.crashes > 0 ? 1 : 0;
  for (const name of ["lost", "denied", "cancels", "refusals", "freezes"] as const) totals[name] += outcome[name];
  for (const state of outcome.states) totals.states.set(state, (totals.states.get(state) ?? 0) + 1);
  return outcome;
}

/** Once without faults, to count the commits; then once for each of them and each side of it. */
async function crashEverywhere(totals: Totals, scenario: Scenario): Promise<void> {
  const { commits } = await run(totals, scenario, noFaults, "no faults");
  for (let target = 0; target < commits; target += 1)
    for (const when of ["before", "after"] as const) {
      const faults: Faults = { ...noFaults, at: (commit) => (commit === target ? { kind: "crash", when } : null) };
      await run(totals, scenario, faults, `crash ${when} commit ${target}`);
    }
}

function show(totals: Totals): void {
  console.log(JSON.stringify({ ...totals, states: Object.fromEntries(totals.states) }));
}

test("two engines, a crash before and after every commit: nothing is lost, nothing runs twice, everything ends", async () => {
  const totals = newTotals();
  for (let seed = only ?? 1; totals.crashRuns < systematicRunsMin; seed += 1) {
    await crashEverywhere(totals, randomScenario(seed));
    if (only !== null) break;
  }
  show(totals);
  if (only !== null) return;
  expect(totals.crashRuns).toBeGreaterThanOrEqual(systematicRunsMin);
  expect(Math.min(totals.lost, totals.denied)).toBeGreaterThan(500);
  for (const state of ["SUCCESS", "FAILED", "CANCELLED"]) expect(totals.states.get(state) ?? 0).toBeGreaterThan(500);
}, 240_000);

test("two engines, several crashes, refused commits, slow disks and lost claims at random", async () => {
  const totals = newTotals();
  const first = only ?? 1_000_000;
  for (let seed = first; seed < first + (only === null ? randomRuns : 1); seed += 1)
    await run(totals, randomScenario(seed), randomFaults(seed), "random faults");
  show(totals);
  if (only !== null) return;
  expect(totals.crashRuns).toBeGreaterThan(4000);
  expect(Math.min(totals.lost, totals.cancels, totals.refusals, totals.freezes)).toBeGreaterThan(200);
}, 240_000);
