// A context for calling an action's function directly, with a work folder of its own that goes with the test file.
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ActionContext } from "../../../src/actions/shared/context.ts";

export type DirectContext = ActionContext & { stop(): void; lines: string[] };

/** `forwards`: `host:port` to where it is reached, as the engine's forwarders would. */
export function directContext(forwards: Record<string, { host: string; port: number }> = {}): DirectContext {
  const workdir = mkdtempSync(join(tmpdir(), "autokestra-action-"));
  afterAll(() => rmSync(workdir, { recursive: true, force: true }));
  const controller = new AbortController();
  const lines: string[] = [];
  const write = (message: string): void => void lines.push(message);
  return {
    workdir,
    signal: controller.signal,
    stop: () => controller.abort(),
    lines,
    log: { debug: write, info: write, warn: write, error: write },
    forward: (host, port) => forwards[`${host}:${port}`] ?? { host, port },
  };
}

/** What a promise is rejected with, as an error frame shows it. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; details: Record<string, unknown>; retryable: unknown }> {
  try {
    await promise;
  } catch (thrown) {
    const {
      code,
      message,
      details = {},
      retryable,
    } = thrown as { code: string; message: string; details?: Record<string, unknown>; retryable?: unknown };
    return { code, message, details, retryable };
  }
  throw new Error("it was not rejected");
}
