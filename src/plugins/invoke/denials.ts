// What was denied to one attempt: from the kernel's notices, the proxy's decisions and the task's own words; each told once.
import { coversNetwork, type Denial, type DeniedOperation, findGrant, renderGrant, type TaskPlaces } from "../../model/index.ts";
import type { NetworkDecision } from "../network/index.ts";
import type { Notice } from "../sandbox/index.ts";
import { realPath } from "./confine.ts";
import type { Recognised } from "./recognise.ts";
import { isRefusal } from "./refusal-lines.ts";

/** A task that tries everything must not flood the trace: what comes after these is only counted. */
const toldMax = 100;

export type DenialContext = {
  places: () => TaskPlaces;
  /** What is granted is reached through the proxy and the forwarders alone: a direct connection to it is denied like any other. */
  network: readonly string[];
  tell: (denial: Denial) => void;
};

export class Denials {
  readonly #context: DenialContext;
  readonly #told = new Map<string, Denial>();

  constructor(context: DenialContext) {
    this.#context = context;
  }

  fromNotice({ call, kind, target, access }: Notice): void {
    const rule = {
      network: call === "bind" || call === "listen" ? "listen" : "network",
      filesystem: `filesystem.${access ?? "read"}`,
      run: "run",
      syscall: "syscall",
    }[kind];
    const named = kind === "filesystem" && target !== null ? (realPath(target) ?? target) : target;
    const isGranted = rule === "network" && named !== null && this.#context.network.some((entry) => coversNetwork(entry, named));
    const denied = { kind, target: named ?? call, rule };
    if (isGranted) this.add(denied, null);
    else this.add(denied);
  }

  fromDecision({ host, port, entries }: NetworkDecision): void {
    const target = `${host}:${port}`;
    this.add(
      { kind: "network", target, rule: "network" },
      entries.length === 0 ? null : entries.map((entry) => renderGrant("network", entry)).join("; "),
    );
  }

  /** The denial, null beyond the bound. */
  add(denied: DeniedOperation, grant: string | null = findGrant(denied, this.#context.places())): Denial | null {
    const key = `${denied.rule} ${denied.target}`;
    const known = this.#told.get(key);
    if (known !== undefined || this.#told.size >= toldMax) return known ?? null;
    const { kind, target, rule } = denied;
    const denial: Denial = { kind, target, rule, grant };
    this.#told.set(key, denial);
    this.#context.tell(denial);
    return denial;
  }

  /** Tells what was recognised in the lines, unless it is known more exactly, and gives the denial that explains the failure best,
   * null when nothing was denied. What the kernel and the proxy told comes first, unless the lines end with another file. */
  explain(lines: readonly string[], recognised: readonly Recognised[]): Denial | null {
    const exact = [...this.#told.values()];
    const found = recognised.flatMap((one) => {
      if (exact.some(({ target }) => target === one.target || target === `unix:${one.target}`)) return [];
      const denial = one.isNever ? this.add(one, null) : this.add(one);
      return denial === null ? [] : [{ denial, line: one.line }];
    });
    const file = found.find(({ denial }) => denial.kind === "filesystem");
    const host = found.find(({ denial }) => denial.kind === "network");
    const named = findNamed(exact, lines);
    const isLastWord = file !== undefined && file.line >= lines.findLastIndex(isRefusal);
    if (file !== undefined && (named === null ? isLastWord : file.line > named.line)) return file.denial;
    if (named !== null && (named.denial.grant !== null || host === undefined)) return named.denial;
    const other = exact.find(({ grant }) => grant !== null) ?? exact[0] ?? file?.denial;
    return host?.denial ?? other ?? null;
  }
}

/** The exact denial that the last of the lines names; one that a grant would allow before others. */
function findNamed(exact: readonly Denial[], lines: readonly string[]): { denial: Denial; line: number } | null {
  const named = exact.flatMap((denial) => {
    const { target } = denial;
    // The name of a system call is a word like any other.
    if (!/[/:]/.test(target)) return [];
    const bare = target.replace(/^unix:/, "").replace(/:\d+$/, "");
    const line = lines.findLastIndex((text) => text.includes(bare));
    return line < 0 ? [] : [{ denial, line }];
  });
  const rank = ({ denial, line }: { denial: Denial; line: number }) => (denial.grant === null ? 0 : lines.length) + line;
  return named.toSorted((a, b) => rank(b) - rank(a))[0] ?? null;
}
