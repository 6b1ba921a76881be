// The container engine's HTTP API over its Unix socket: finding the engine, one call, and what its refusals mean.

import { existsSync } from "node:fs";
import { type CodedError, fail, limits } from "../../../base/index.ts";

/** The newest API version that this was written for; engines that no longer speak it are asked in their oldest. */
const apiWanted = [1, 44] as const;
const probeMs = 5000;
/** Creating a container copies the whole image with some storage drivers. */
const callMs = 120_000;

/** What is known of the engine that answers. */
export type Engine = {
  socket: string;
  name: "docker" | "podman";
  version: string;
  /** The version in its addresses, such as "1.41". */
  api: string;
  arch: "x64" | "arm64";
  /** Its containers' root is the user who runs it. */
  rootless: boolean;
  /** The daemon shifts user ids of containers. */
  userRemap: boolean;
  cpus: number;
  /** Layers that it cannot give. */
  missing: string[];
};

export type EngineCall = {
  method: "GET" | "POST" | "DELETE";
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  /** Null: waits for ever. */
  timeoutMs?: number | null;
  signal?: AbortSignal;
};

/** `json` is null for an empty body. `message` is the engine's own explanation of a refusal, whole: it may quote a secret, and who
 * cuts it has to mask it first. */
export type EngineAnswer = { status: number; json: unknown; message: string };

/** The first engine that answers on one of the sockets.
 * @throws DOCKER_UNAVAILABLE */
export async function findEngine(sockets: readonly string[]): Promise<Engine> {
  const tried: string[] = [];
  for (const socket of sockets) {
    if (!existsSync(socket)) {
      tried.push(`${socket}: no such socket`);
      continue;
    }
    try {
      return await describeEngine(socket);
    } catch (cause) {
      tried.push(`${socket}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  throw unavailable("Cannot reach a container engine: none answers", { details: { tried } });
}

async function describeEngine(socket: string): Promise<Engine> {
  const version = asRecord(await expectJson(socket, { method: "GET", path: "/version", timeoutMs: probeMs }));
  const info = asRecord(await expectJson(socket, { method: "GET", path: "/info", timeoutMs: probeMs }));
  const options = asTexts(info.SecurityOptions);
  const hasOption = (name: string) => options.some((option) => option.split(",")[0] === `name=${name}`);
  const isUnconfined = options.some((option) => option.startsWith("name=seccomp") && option.includes("profile=unconfined"));
  const components = Array.isArray(version.Components) ? version.Components.map((entry) => String(asRecord(entry).Name)) : [];
  if (String(version.Os) !== "linux") throw new Error("its containers are not Linux");
  return {
    socket,
    name: components.some((name) => name.startsWith("Podman")) ? "podman" : "docker",
    version: String(version.Version),
    api: chooseApi(String(version.ApiVersion), String(version.MinAPIVersion ?? version.ApiVersion)),
    arch: parseArch(String(version.Arch)),
    rootless: hasOption("rootless"),
    userRemap: hasOption("userns"),
    cpus: typeof info.NCPU === "number" && info.NCPU > 0 ? info.NCPU : 1,
    missing: [
      ...(hasOption("seccomp") && !isUnconfined ? [] : ["seccomp"]),
      ...(info.MemoryLimit === false ? ["memory limit"] : []),
      ...(info.PidsLimit === false ? ["process limit"] : []),
      ...(info.CpuCfsQuota === false ? ["cpu limit"] : []),
    ],
  };
}

/** Ours where both know it, else the nearest that the engine speaks. */
export function chooseApi(newest: string, oldest: string): string {
  const parse = (text: string) => text.split(".").map(Number);
  const isBelow = (a: readonly number[], b: readonly number[]) => (a[0] ?? 0) < (b[0] ?? 0) || (a[0] === b[0] && (a[1] ?? 0) < (b[1] ?? 0));
  if (isBelow(parse(newest), apiWanted)) return newest;
  return isBelow(apiWanted, parse(oldest)) ? oldest : apiWanted.join(".");
}

function parseArch(text: string): "x64" | "arm64" {
  if (text === "amd64" || text === "x86_64") return "x64";
  if (text === "arm64" || text === "aarch64") return "arm64";
  throw new Error(`its machine is ${text}, for which there is no relay`);
}

/** One call of the engine's API in its version. Refusals are answers.
 * @throws DOCKER_UNAVAILABLE when the engine does not answer */
export async function callEngine(engine: Engine, call: EngineCall): Promise<EngineAnswer> {
  try {
    const answer = await send(engine.socket, { ...call, path: `/v${engine.api}${call.path}` });
    const text = await readBounded(answer);
    const json = text === "" ? null : parseJson(text);
    return { status: answer.status, json, message: answer.ok ? "" : messageOf(json, text) };
  } catch (cause) {
    throw lost(engine, cause);
  }
}

/** A call whose answer comes bit by bit. */
export async function openEngineStream(engine: Engine, call: EngineCall): Promise<Response> {
  try {
    return await send(engine.socket, { ...call, path: `/v${engine.api}${call.path}` });
  } catch (cause) {
    throw lost(engine, cause);
  }
}

/** The address of a call, as it stands in the first line of a request. */
export function requestTarget(engine: Engine, path: string, query: Record<string, string>): string {
  return `/v${engine.api}${path}?${new URLSearchParams(query).toString()}`;
}

/** @throws DOCKER_UNAVAILABLE always has the same hint */
export function unavailable(message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}): CodedError {
  const hint = "Start Docker or Podman, or name its socket in plugins.docker.socket; the server's user must be allowed to use it.";
  return fail("DOCKER_UNAVAILABLE", message, { ...options, hint });
}

function lost(engine: Engine, cause: unknown): CodedError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return unavailable(`Cannot talk to the container engine at ${engine.socket}: ${why}`, { details: { socket: engine.socket }, cause });
}

async function expectJson(socket: string, call: EngineCall): Promise<unknown> {
  const answer = await send(socket, call);
  const text = await readBounded(answer);
  if (!answer.ok) throw new Error(`it answered ${answer.status} to ${call.path}`);
  return parseJson(text);
}

function send(socket: string, { method, path, query, body, timeoutMs = callMs, signal }: EngineCall): Promise<Response> {
  const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
  const signals = [...(timeoutMs === null ? [] : [AbortSignal.timeout(timeoutMs)]), ...(signal === undefined ? [] : [signal])];
  return fetch(`http://engine${path}${search}`, {
    method,
    unix: socket,
    // A wait is silent for as long as the task runs, and a kept connection may be one to a daemon that has restarted.
    timeout: false,
    keepalive: false,
    redirect: "manual",
    ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
    ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
}

async function readBounded(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > limits.engineAnswerBytesMax) throw new Error(`its answer is longer than ${limits.engineAnswerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Some refusals are plain text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function messageOf(json: unknown, text: string): string {
  const { message } = asRecord(json);
  return (typeof message === "string" ? message : text).trim();
}

/** The members of what may be anything. */
export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** The texts of what may be anything. */
export function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === "string") : [];
}
