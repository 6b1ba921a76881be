// What was denied to one attempt: from the kernel's notices, the proxy's decisions and the task's own words; each told once.
import { coversNetwork, type Denial, type DeniedOperation, findGrant, isWithin, renderGrant, type TaskPlaces } from "../../model/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { NetworkDecision } from "../network/index.ts";
import type { Notice } from "../sandbox/index.ts";
import type { Recognised } from "./recognise.ts";
import { isRefusal } from "./refusal-lines.ts";
import { seenPath } from "./seen-path.ts";

/** A task that tries everything must not flood the trace: what comes after these is only counted. */
const toldMax = 100;

/** How a socket for datagrams is told. */
const lookUpTarget = "udp";

export type DenialContext = {
  places: () => TaskPlaces;
  /** What is granted is reached through the proxy and the forwarders alone: a direct connection to it is denied like any other. */
  network: readonly string[];
  /** Real paths that the task may read, and folders of the engine's, below which nothing is ever granted. */
  files: () => { readable: readonly string[]; never: readonly string[] };
  masker: Masker;
  tell: (denial: Denial) => void;
};

export class Denials {
  readonly #context: DenialContext;
  readonly #told = new Map<string, Denial>();
  /** A look-up of names, which says less than what it was for: told at the end, when nothing else was. */
  #lookUp: DeniedOperation | null = null;

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
    const named = kind === "filesystem" && target?.startsWith("/") === true ? seenPath(target, this.#context.files().readable) : target;
    const isGranted = rule === "network" && named !== null && this.#context.network.some((entry) => coversNetwork(entry, named));
    const denied = { kind, target: named ?? call, rule };
    if (rule === "network" && named === lookUpTarget) {
      this.#lookUp ??= denied;
      return;
    }
    if (isGranted) this.add(denied, null);
    else this.add(denied);
  }

  fromDecision({ host, port, entries }: NetworkDecision): void {
    const target = `${host}:${port}`;
    const shown = entries.map((entry) => renderGrant("network", this.#context.masker.text(entry)));
    this.add({ kind: "network", target, rule: "network" }, shown.length === 0 ? null : shown.join("; "));
  }

  /** The denial, null beyond the bound. `grant` is found where it is left out. */
  add({ target: meant, ...denied }: DeniedOperation, given?: string | null): Denial | null {
    // What would allow it follows from what is shown: of a value with a slash in it a folder above would keep a part.
    const target = this.#context.masker.text(meant);
    const { kind, rule } = denied;
    const key = `${rule} ${target}`;
    const known = this.#told.get(key);
    if (known !== undefined || this.#told.size >= toldMax) return known ?? null;
    const grant = given === undefined ? this.#findGrant({ ...denied, target }) : given;
    const denial: Denial = { kind, target, rule, grant };
    this.#told.set(key, denial);
    this.#context.tell(denial);
    return denial;
  }

  #findGrant(denied: DeniedOperation): string | null {
    const places = this.#context.places();
    const { workspace = null } = places;
    const isOwn = workspace !== null && isWithin([workspace], denied.target);
    const isEngines = denied.kind === "filesystem" && !isOwn && isWithin(this.#context.files().never, denied.target);
    return isEngines ? null : findGrant(denied, places);
  }

  /** Tells what was recognised in the lines, unless it is known more exactly, and gives the denial that explains the failure best,
   * null when nothing was denied. What the kernel and the proxy told comes first, unless the lines end with another file. */
  explain(lines: readonly string[], recognised: readonly Recognised[]): Denial | null {
    const isNetwork = ({ kind }: Pick<DeniedOperation, "kind">) => kind === "network";
    if (this.#lookUp !== null && ![...this.#told.values(), ...recognised].some(isNetwork)) this.add(this.#lookUp);
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
