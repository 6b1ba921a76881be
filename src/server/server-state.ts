// What the routes of one server share: the opened app, the clock, and what is counted while it runs.
import type { App } from "../app/index.ts";
import type { Clock, Millis } from "../base/index.ts";
import type { EventStreams } from "./streams/event-streams.ts";

export type ServerState = {
  readonly app: App;
  readonly clock: Clock;
  readonly startedAt: Millis;
  readonly streams: EventStreams;
  readonly requests: RequestCounts;
  /** The OpenAPI document and the reference page, made when first asked for. */
  readonly reference: { openapi(): string; page(): { html: string; policy: string } };
  /** Lifts the idle timeout off this request's connection. */
  keepOpen(request: Request): void;
  /** True from `stop` on. */
  stopping: boolean;
};

/** How many requests each route answered with which status. */
export type RequestCounts = Map<string, number>;

export function countRequest(counts: RequestCounts, name: string, status: number): void {
  const key = `${name} ${status}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
