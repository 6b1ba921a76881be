import { test } from "bun:test";
import { noFaults, type Faults } from "./faults.ts";
import { randomScenario } from "./scenario.ts";
import { simulate } from "./simulation.ts";
import { seededRandom } from "../flow/fake-time.ts";
function randomFaults(seed: number): Faults {
  const random = seededRandom(seed * 7919 + 13);
  const slow = random() < 0.4, freezes = random() < 0.2, refuses = random() < 0.4;
  const rate = 0.03 + random() * 0.2;
  let left = 6;
  return {
    at: () => {
      if (left === 0 || random() > rate) return null;
      left--;
      const when = random() < 0.5 ? "before" as const : "after" as const;
      const r = random();
      if (freezes && r < 0.3) return { kind: "freeze", when, ms: 16000 + Math.floor(random()*9000) };
      if (refuses && r < 0.6) return { kind: "refuse", when };
      return { kind: "crash", when };
    },
    delayOf: () => (slow && random() < 0.3 ? Math.floor(random() * 400) : 0),
  };
}
test("try", async () => {
  const t0 = performance.now();
  const bad: string[] = [];
  const tot: Record<string, number> = {};
  const N = Number(process.env.N ?? 100), from = Number(process.env.SEED ?? 1);
  for (let seed = from; seed < from+N; seed++) {
    try { const o = await simulate(randomScenario(seed), process.env.NOF ? noFaults: randomFaults(seed), { verifyState: seed % 10 === 0 }); for (const [k,v] of Object.entries(o)) if (typeof v === "number") tot[k]=(tot[k]??0)+v; for (const s of o.states) tot[s]=(tot[s]??0)+1; }
    catch (e) { bad.push(seed + ": " + String(e)); if (N===1) throw e; }
  }
  console.log(bad.length, bad.slice(0,20), tot, "ms/run", (performance.now()-t0)/N);
}, 600000);
