// Writes the events that a running task gives, one commit each, in a trace of its own.
import type { JsonObject } from "../../src/base/index.ts";
import { draftEvent, type Ledger } from "../../src/trace/index.ts";

const deps = { clock: { now: () => Date.now() }, ids: { next: () => Bun.randomUUIDv7() } };
const sha256 = "ab".repeat(32);

export class EventWriter {
  readonly #ledger: Ledger;
  readonly #folded: boolean;
  readonly #executionId = deps.ids.next();
  readonly #sessionId = deps.ids.next();
  readonly #rootSpan = deps.ids.next();
  #written = 0;
  #span = "";

  /** `folded`: events that change rows (started, succeeded); else ones that only lengthen the chain. */
  constructor(ledger: Ledger, folded: boolean) {
    this.#ledger = ledger;
    this.#folded = folded;
  }

  async open(): Promise<void> {
    const id = this.#executionId;
    const trigger = { type: "manual", id: null, scheduled_at: null, by: "user:bench" };
    const payload = { execution_id: id, workflow: "bench", revision: 1, sha256, trigger, inputs: {} };
    const opens = new Map([[id, { subject: "execution" as const, subjectId: id }]]);
    await this.#ledger.commit({ events: [this.#draft("trace.execution.created", payload)], opens });
  }

  /** Each event is durable before the next is handed in. */
  async write(events: number): Promise<void> {
    for (let done = 0; done < events; done += 1) await this.#ledger.commit({ events: [this.#folded ? this.#taskEvent() : this.#plainEvent()] });
  }

  #taskEvent() {
    const isStart = this.#written % 2 === 0;
    const at = this.#place(Math.floor(this.#written / 2));
    this.#written += 1;
    if (!isStart) return this.#draft("trace.task.succeeded", { ...at, output: { exitCode: 0, stdout: "" }, duration_ms: 12 }, this.#span);
    this.#span = deps.ids.next();
    const how = {
      action: "core/shell.run",
      runtime: "process",
      permissions: {},
      sandbox: { level: "strict", layers: ["namespaces", "landlock", "seccomp"] },
    };
    return this.#draft("trace.task.started", { ...at, ...how }, this.#span);
  }

  #plainEvent() {
    this.#written += 1;
    return this.#draft("trace.task.expanded", { ...this.#place(this.#written), items: 10, items_sha256: sha256 });
  }

  #place(number: number): JsonObject {
    return { execution_id: this.#executionId, task: `task-${number}`, item_index: null, attempt: 1 };
  }

  #draft(type: string, payload: JsonObject, span = this.#rootSpan) {
    const actor = { type: "runtime" as const, id: "engine" };
    const parentSpanId = span === this.#rootSpan ? null : this.#rootSpan;
    const place = { traceId: this.#executionId, spanId: span, parentSpanId, sessionId: this.#sessionId, actor };
    return draftEvent(deps, place, { type, payload });
  }
}
