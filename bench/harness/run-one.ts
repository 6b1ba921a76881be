// Runs one bench in a process of its own and writes each row as soon as it is known, so that a bench that is stopped keeps what it has.
// Called by main.ts: `run-one.ts NAME FILE`.
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { benches } from "../benches/index.ts";
import { BenchContext, resultsFolder } from "./bench.ts";

const [name = "", file = ""] = process.argv.slice(2);
const bench = benches.get(name);
if (bench === undefined) throw new Error(`Cannot run bench "${name}": there is none of that name`);
const folder = mkdtempSync(join(resultsFolder, `${name}-`));
const write = (line: object): void => appendFileSync(file, `${JSON.stringify(line)}\n`);
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
await bench(
  new BenchContext(folder, {
    row: (row) => write({ row: { bench: name, ...row } }),
    skip: (skip) => write({ skip: { bench: name, ...skip } }),
  }),
);
process.exit(0);
