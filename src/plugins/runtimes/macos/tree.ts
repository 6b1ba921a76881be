// The processes of one task on macOS, where the kernel ties none of them to ours: its group, and those that left it as far as
// they were seen to be descendants. Who leaves the group and loses its parent between two looks is not found any more; it
// stays in its sandbox.

import { membersOf, readProcessTable } from "./process-table.ts";
import type { ProcessRow } from "./process-table.ts";

const lookMs = 1000;
const goneMs = 10;
/** A killed process that is still there after this many looks hangs in the kernel: it is not waited for. */
const looksMax = 200;

export class MacTree {
  readonly #leader: number;
  readonly #ps: string;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #known = new Map<number, string>();
  #hasEnded = false;

  constructor(leader: number, ps: string) {
    this.#leader = leader;
    this.#ps = ps;
    this.#timer = setInterval(() => this.look(), lookMs);
    this.#timer.unref();
  }

  /** The living members. */
  look(): ProcessRow[] {
    const members = membersOf(readProcessTable(this.#ps), { leader: this.#leader, hasEnded: this.#hasEnded, known: this.#known });
    this.#known.clear();
    for (const { pid, startedAt } of members) this.#known.set(pid, startedAt);
    return members;
  }

  /** To all members; for SIGTERM those that were stopped go on. */
  signal(signal: "SIGTERM" | "SIGKILL"): void {
    if (!this.#hasEnded) this.#send(this.look(), signal);
  }

  /** After the first process's end: kills what is left, until nothing is. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#hasEnded = true;
    for (let looks = 0; looks < looksMax; looks++) {
      const members = this.look();
      if (members.length === 0) return;
      this.#send(members, "SIGKILL");
      await Bun.sleep(goneMs);
    }
  }

  /** The group at once, so that nobody is born in between; then one by one who left it. */
  #send(members: readonly ProcessRow[], signal: NodeJS.Signals): void {
    const isInGroup = ({ group }: ProcessRow) => group === this.#leader;
    const targets = members.filter((member) => !isInGroup(member)).map(({ pid }) => pid);
    if (members.some(isInGroup)) targets.unshift(-this.#leader);
    for (const target of targets) {
      send(target, signal);
      if (signal === "SIGTERM") send(target, "SIGCONT");
    }
  }
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // ended meanwhile
  }
}
