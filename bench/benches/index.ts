// The benches by name, in the order in which they run.
import type { Bench } from "../harness/bench.ts";
import { dag } from "./dag.ts";
import { http } from "./http.ts";
import { latency } from "./latency.ts";
import { ledger } from "./ledger.ts";
import { mask } from "./mask.ts";
import { spawn } from "./spawn.ts";
import { start } from "./start.ts";

export const benches: ReadonlyMap<string, Bench> = new Map([
  ["start", start],
  ["ledger", ledger],
  ["dag", dag],
  ["latency", latency],
  ["spawn", spawn],
  ["http", http],
  ["mask", mask],
]);
