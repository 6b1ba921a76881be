// Runs one bench in a process of its own and writes each row as soon as it is known, so that a bench that is stopped keeps what it has.
// Called by main.ts: `run-one.ts NAME FOLDER FILE`.
import { appendFileSync } from "node:fs";
import { benches } from "../benches/index.ts";
import { BenchContext } from "./bench.ts";

const [name = "", folder = "", file = ""] = process.argv.slice(2);
const bench = benches.get(name);
if (bench === undefined) throw new Error(`Cannot run bench "${name}": there is none of that name`);
const write = (line: object): void => appendFileSync(file, `${JSON.stringify(line)}\n`);
await bench(
  new BenchContext(folder, {
    row: (row) => write({ row: { bench: name, ...row } }),
    skip: (skip) => write({ skip: { bench: name, ...skip } }),
  }),
);
// Whatever a bench left open must not keep the run waiting.
process.exit(0);
