// Images: what a reference stands for, fetching one from its registry, and remembering the answer for a while.

import { type Clock, type CodedError, fail, isCoded, limits } from "../../../base/index.ts";
import { asRecord, asTexts, callEngine, type Engine, openEngineStream } from "./engine-api.ts";
import type { PullPolicy, ResolvedImage } from "./ports.ts";

/** Long enough that the tasks of an execution agree on an image, short enough that a new one is soon seen. */
const keptMs = 60_000;
const keptMax = 256;
/** Names, tags and digests: nothing that could leave its place in an address. */
const referencePattern =
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]*(?::\d+(?=\/))?(?:\/[a-zA-Z0-9][a-zA-Z0-9_.-]*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
const idPattern = /^sha256:[0-9a-f]{64}$/;
const unreachablePattern = /\bdial\b|\blookup\b|connection|timeout|deadline|\bEOF\b/i;
const missingPattern = /not found|no such image|manifest unknown|does not exist|denied|unauthorized|invalid reference/i;

type Asked = { image: string; pull: PullPolicy; onProgress: ((line: string) => void) | undefined };

/** Answers one question at a time for each image, whoever asks. */
export class Images {
  readonly #clock: Clock;
  readonly #kept = new Map<string, { until: number; answer: Promise<ResolvedImage> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws IMAGE_NOT_FOUND, DOCKER_UNAVAILABLE, TASK_INPUT_INVALID */
  resolve(engine: Engine, asked: Asked): Promise<ResolvedImage> {
    const key = `${engine.socket} ${asked.pull} ${asked.image}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#clock.now()) return kept.answer;
    const answer = find(engine, asked);
    const entry = { until: this.#clock.now() + limits.imagePullMsMax, answer };
    this.#kept.delete(key);
    if (this.#kept.size >= keptMax) this.#kept.delete(this.#kept.keys().next().value ?? "");
    this.#kept.set(key, entry);
    answer.then(
      () => {
        entry.until = this.#clock.now() + keptMs;
      },
      () => {
        if (this.#kept.get(key) === entry) this.#kept.delete(key);
      },
    );
    return answer;
  }

  /** An image that was there may have been removed. */
  forget(image: string): void {
    for (const key of this.#kept.keys()) if (key.endsWith(` ${image}`)) this.#kept.delete(key);
  }
}

async function find(engine: Engine, { image, pull, onProgress }: Asked): Promise<ResolvedImage> {
  const isId = idPattern.test(image);
  if (!isId && (image.length > 512 || !referencePattern.test(image))) {
    // Whole or not at all: an image may be named by a secret, which is masked only where all of it stands.
    const named = image.length > 512 ? "an image" : `the image "${image}"`;
    throw fail("TASK_INPUT_INVALID", `Cannot use ${named}: it is no reference to an image`);
  }
  const present = pull === "always" && !isId ? null : await inspect(engine, image);
  if (present !== null) return present;
  if (pull === "never" || isId) {
    throw notFound(image, "it is not on this machine and is not to be pulled", "Pull it by hand, or set pull: missing.");
  }
  await fetchImage(engine, image, onProgress);
  const fetched = await inspect(engine, image);
  if (fetched === null) throw notFound(image, "it was pulled and is not there");
  return fetched;
}

async function inspect(engine: Engine, image: string): Promise<ResolvedImage | null> {
  const answer = await callEngine(engine, { method: "GET", path: `/images/${image}/json` });
  if (answer.status === 404) return null;
  const found = asRecord(answer.json);
  if (answer.status !== 200 || typeof found.Id !== "string") {
    throw fail("TASK_FAILED", `Cannot look at the image "${image}": ${answer.message}`, { details: { status: answer.status } });
  }
  const config = asRecord(found.Config);
  const id = found.Id.startsWith("sha256:") ? found.Id : `sha256:${found.Id}`;
  return {
    id,
    digest: digestOf(image, asTexts(found.RepoDigests)) ?? id,
    entrypoint: asTexts(config.Entrypoint),
    cmd: asTexts(config.Cmd),
    env: parseVariables(asTexts(config.Env)),
    workdir: typeof config.WorkingDir === "string" && config.WorkingDir !== "" ? config.WorkingDir : null,
    volumes: Object.keys(asRecord(config.Volumes)),
  };
}

/** An image may have come from several registries: the one that was named counts, else the first. */
function digestOf(image: string, repoDigests: readonly string[]): string | null {
  const digests = repoDigests.map((entry) => ({ name: entry.split("@")[0] ?? "", digest: entry.split("@")[1] ?? "" }));
  const { name } = splitReference(image);
  const chosen = digests.find((entry) => entry.name === name || entry.name.endsWith(`/${name}`)) ?? digests[0];
  return chosen !== undefined && idPattern.test(chosen.digest) ? chosen.digest : null;
}

function parseVariables(lines: readonly string[]): Record<string, string> {
  const pairs = lines.map((line): [string, string] => {
    const at = line.indexOf("=");
    return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
  });
  return Object.fromEntries(pairs.filter(([name]) => name !== ""));
}

/** Without a tag the engine would fetch every tag there is. */
export function splitReference(image: string): { name: string; tag: string } {
  const at = image.indexOf("@");
  if (at >= 0) return { name: image.slice(0, at).replace(/:[\w][\w.-]*$/, ""), tag: image.slice(at + 1) };
  const colon = image.lastIndexOf(":");
  const hasTag = colon > image.lastIndexOf("/");
  return hasTag ? { name: image.slice(0, colon), tag: image.slice(colon + 1) } : { name: image, tag: "latest" };
}

async function fetchImage(engine: Engine, image: string, onProgress: ((line: string) => void) | undefined): Promise<void> {
  const { name, tag } = splitReference(image);
  const deadline = AbortSignal.timeout(limits.imagePullMsMax);
  const call = { method: "POST", path: "/images/create", query: { fromImage: name, tag }, timeoutMs: null, signal: deadline } as const;
  const answer = await openEngineStream(engine, call);
  if (!answer.ok) throw pullFailed(image, await answer.text());
  try {
    await followPull(answer, image, onProgress);
  } catch (cause) {
    // The connection broke, or what came is none of the engine's lines.
    throw isCoded(cause) ? cause : pullFailed(image, `connection: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

async function followPull(answer: Response, image: string, onProgress: ((line: string) => void) | undefined): Promise<void> {
  let lines = 0;
  for await (const line of splitLines(answer)) {
    const { status, id, error, progress } = asRecord(JSON.parse(line));
    if (typeof error === "string") throw pullFailed(image, error);
    // The steps of a progress bar are not worth a line each.
    if (typeof status !== "string" || (typeof progress === "string" && progress !== "") || ++lines > limits.imagePullLinesMax) continue;
    onProgress?.(typeof id === "string" && id !== "" ? `${id}: ${status}` : status);
  }
}

async function* splitLines(answer: Response): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body ?? []) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
    if (rest.length > limits.engineAnswerBytesMax) throw new Error("a line without an end");
  }
  if (rest.trim() !== "") yield rest;
}

function pullFailed(image: string, text: string): CodedError {
  const quoted = /^\s*\{"message":"(.*)"\}\s*$/s.exec(text)?.[1];
  const why = (quoted ?? text).trim();
  if (!unreachablePattern.test(why) && missingPattern.test(why))
    return notFound(image, why, "Check its name, and `docker login` where the registry is private.");
  return fail("DOCKER_UNAVAILABLE", `Cannot pull the image "${image}": ${why}`, {
    details: { image },
    hint: "The container engine must reach the registry; an image that is on the machine needs no pull.",
  });
}

function notFound(image: string, why: string, hint?: string): CodedError {
  const options = { details: { image } };
  return fail("IMAGE_NOT_FOUND", `Cannot use the image "${image}": ${why}`, hint === undefined ? options : { ...options, hint });
}
