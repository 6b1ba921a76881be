// What the tasks of one unenforced run were seen doing (--learn): each different thing once, attempt by attempt.
import type { CallableAction, EffectivePermissions } from "../../model/index.ts";
import { limits, type JsonObject } from "../../base/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { Notice } from "../sandbox/index.ts";

/** What of an attempt tells its own places and needs apart from those of others. */
export type WatchedAttempt = {
  task: string;
  action: CallableAction;
  inputs: JsonObject;
  folders: { workspace: string; workdir: string };
  /** What it asks for, since everything asked is granted in such a run. */
  permissions: EffectivePermissions;
  masker: Masker;
};
export type SeenAttempt = { attempt: WatchedAttempt; notices: Map<string, Notice> };

export class LearnLog {
  readonly #attempts: SeenAttempt[] = [];
  #size = 0;
  #isFull = false;

  /** Begins an attempt; what is returned takes everything seen of it. */
  watch(attempt: WatchedAttempt): (notice: Notice) => void {
    const notices = new Map<string, Notice>();
    this.#attempts.push({ attempt, notices });
    return (notice) => {
      const key = `${notice.call} ${notice.access ?? ""} ${notice.target ?? ""}`;
      if (notices.has(key)) return;
      if (this.#size >= limits.learnedNoticesMax) {
        this.#isFull = true;
        return;
      }
      this.#size += 1;
      notices.set(key, notice);
    };
  }

  get attempts(): readonly SeenAttempt[] {
    return this.#attempts;
  }

  /** Whether more was seen than is kept. */
  get isFull(): boolean {
    return this.#isFull;
  }
}
