// What was denied to one attempt: from the kernel's notices, the proxy's decisions and the task's own words; each told once.
import { type Denial, type DeniedOperation, findGrant, renderGrant, type TaskPlaces } from "../../model/index.ts";
import type { NetworkDecision } from "../network/index.ts";
import type { Notice } from "../sandbox/index.ts";

/** A task that tries everything must not flood the trace: what comes after these is only counted. */
const toldMax = 100;

export class Denials {
  readonly #places: TaskPlaces;
  readonly #tell: (denial: Denial) => void;
  readonly #told = new Map<string, Denial>();

  constructor(places: TaskPlaces, tell: (denial: Denial) => void) {
    this.#places = places;
    this.#tell = tell;
  }

  fromNotice({ call, kind, target, access }: Notice): void {
    const rule = {
      network: call === "bind" || call === "listen" ? "listen" : "network",
      filesystem: `filesystem.${access ?? "read"}`,
      run: "run",
      syscall: "syscall",
    }[kind];
    this.add({ kind, target: target ?? call, rule });
  }

  fromDecision({ host, port, entries }: NetworkDecision): void {
    const target = `${host}:${port}`;
    this.add(
      { kind: "network", target, rule: "network" },
      entries.length === 0 ? null : entries.map((entry) => renderGrant("network", entry)).join("; "),
    );
  }

  add(denied: DeniedOperation, grant: string | null = findGrant(denied, this.#places)): void {
    const key = `${denied.rule} ${denied.target}`;
    if (this.#told.has(key) || this.#told.size >= toldMax) return;
    const { kind, target, rule } = denied;
    const denial: Denial = { kind, target, rule, grant };
    this.#told.set(key, denial);
    this.#tell(denial);
  }

  /** The denial that explains a failure best: one that its output names, else the first; one that a grant would allow before others.
   * Null when nothing was denied. */
  best(output: string): Denial | null {
    const all = [...this.#told.values()];
    const grantable = all.filter(({ grant }) => grant !== null);
    const isNamed = ({ target }: Denial) => output.includes(target) || output.includes(target.replace(/:\d+$/, ""));
    return grantable.findLast(isNamed) ?? all.findLast(isNamed) ?? grantable[0] ?? all[0] ?? null;
  }
}
