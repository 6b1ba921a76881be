// What a figure depends on beside the code: the machine, its disk and the programs that were compared.
import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { resultsFolder, root } from "./bench.ts";

export type Facts = Record<"date" | "cpu" | "memory" | "load" | "kernel" | "disk" | "bun" | "node" | "version", string>;

export function readFacts(): Facts {
  const processors = cpus();
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
  return {
    date: new Date().toISOString(),
    cpu: `${processors.length} × ${processors[0]?.model ?? "unknown"}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    // What others did on the machine when the run began.
    load: loadavg()[0]?.toFixed(1) ?? "unknown",
    kernel: outputOf(["uname", "-sr"]),
    disk: outputOf(["stat", "-f", "-c", "%T", resultsFolder]),
    bun: Bun.version,
    node: outputOf(["node", "--version"]),
    version,
  };
}

export function factsText(facts: Facts): string {
  const programs = `autokestra ${facts.version}, Bun ${facts.bun}, Node ${facts.node}`;
  return `${facts.date.slice(0, 10)}, ${facts.cpu}, ${facts.memory}, load ${facts.load} before the run, ${facts.kernel}, ${facts.disk}; ${programs}`;
}

function outputOf(argv: string[]): string {
  if (Bun.which(argv[0] ?? "") === null) return "none";
  return Bun.spawnSync(argv).stdout.toString().trim();
}
