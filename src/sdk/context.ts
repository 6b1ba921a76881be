// One call as the engine sends it, and the context that a handler gets for it.
import { isAbsolute, join } from "node:path";
import { writeFully } from "./channel.ts";
import type { ActionContext, FailOptions, Fields, Log } from "./plugin.ts";

export type Request = {
  action: string;
  input: Record<string, unknown>;
  context: {
    execution_id: string;
    task_id: string;
    attempt: number;
    workdir: string;
    deadline: string | null;
    idempotency_key: string;
  };
};

const hourMs = 3_600_000;

/** What `fail` throws: it carries the whole error of the result frame. */
export class PluginFailure extends Error {
  readonly code: string;
  readonly options: FailOptions;
  constructor(code: string, message: string, options: FailOptions) {
    super(message);
    this.name = "PluginFailure";
    this.code = code;
    this.options = options;
  }
}

/** @throws Error for a line that is no request */
export function parseRequest(line: string): Request {
  const value = JSON.parse(line) as { protocol?: unknown } & Request;
  if (value.protocol !== 1) throw new Error(`the engine speaks protocol ${String(value.protocol)}, this SDK speaks 1`);
  return value;
}

export type Call = { context: ActionContext; artifacts: string[]; end(): void };

/** The context of one call, with what it gathers: files that become artifacts. `end` takes the signal handler away again. */
export function openCall(request: Request): Call {
  const { context: given } = request;
  const artifacts: string[] = [];
  let stop: AbortController | null = null;
  let keepAlive: ReturnType<typeof setInterval> | null = null;
  const onTerm = () => stop?.abort(new Error("the engine asked the task to end"));
  const context: ActionContext = {
    executionId: given.execution_id,
    taskId: given.task_id,
    attempt: given.attempt,
    workdir: given.workdir,
    deadline: given.deadline,
    idempotencyKey: given.idempotency_key,
    log,
    progress: (share, text) => writeLine("INFO", text ?? `${Math.round(bound(share) * 100)} %`, { progress: bound(share) }),
    get signal() {
      // Only who looks at the signal takes the default away, which ends the process.
      if (stop !== null) return stop.signal;
      process.on("SIGTERM", onTerm);
      // Bun ends when nothing but a signal is waited for.
      keepAlive = setInterval(() => undefined, hourMs);
      stop = new AbortController();
      return stop.signal;
    },
    artifact: (path) => void artifacts.push(isAbsolute(path) ? path : join(given.workdir, path)),
    forward,
    fail: (code, message, options = {}) => {
      throw new PluginFailure(code, message, options);
    },
  };
  const end = (): void => {
    process.off("SIGTERM", onTerm);
    if (keepAlive !== null) clearInterval(keepAlive);
  };
  return { context, artifacts, end };
}

function bound(share: number): number {
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
}

const log: Log = {
  debug: (message, fields) => writeLine("DEBUG", message, fields),
  info: (message, fields) => writeLine("INFO", message, fields),
  warn: (message, fields) => writeLine("WARN", message, fields),
  error: (message, fields) => writeLine("ERROR", message, fields),
};

function writeLine(level: string, message: string, fields: Fields = {}): void {
  writeFully(1, `${JSON.stringify({ ...fields, level, message })}\n`);
}

function forward(host: string, port: number): { host: string; port: number } {
  const known = JSON.parse(process.env["WORKFLOW_FORWARD"] ?? "{}") as Record<string, string>;
  const target = known[`${host.includes(":") ? `[${host}]` : host}:${port}`];
  if (target === undefined) return { host, port };
  const colon = target.lastIndexOf(":");
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}
