// Verbs on artifacts: the files that task runs of an execution left behind, as the events of their results name them.
import { fail, toIso } from "../../base/index.ts";
import type { Artifact, ArtifactItem, ArtifactList, TraceEvent } from "../../model/index.ts";
import type { OpenedBlob, Store } from "../../storage/index.ts";
import { artifactOf, readColumn } from "../../trace/index.ts";
import type { AppContext } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { ArtifactQuery, ArtifactRequest, OpenedArtifact } from "../facade.ts";
import { requireExecution } from "./executions.ts";

/** `index`: its place among those of its event. */
type Found = { artifact: Artifact; task: string; attempt: number; time: number; sequence: number; index: number };

const eventsPage = 500;

/** In the order in which they were stored. */
async function* artifactsOf(store: Store, executionId: string, from = 0): AsyncGenerator<Found> {
  for (let after = from - 1; ; ) {
    const page = await store.listEvents({ traceId: executionId, types: ["trace.task.succeeded"], afterSequence: after, limit: eventsPage });
    for (const stored of page) {
      after = stored.sequence;
      // Most results leave no file behind, and parsing is what costs.
      if (!stored.body.includes('"artifacts":[')) continue;
      const { payload, artifacts = [] } = JSON.parse(stored.body) as TraceEvent;
      const place = { task: String(payload["task"]), attempt: Number(payload["attempt"]), time: stored.time, sequence: stored.sequence };
      for (const [index, artifact] of artifacts.entries()) if (!isValue(artifact, payload)) yield { artifact, index, ...place };
    }
    if (page.length < eventsPage) return;
  }
}

/** A large value of the payload stands among the artifacts too; its member names it. */
function isValue({ name, sha256 }: Artifact, payload: TraceEvent["payload"]): boolean {
  return artifactOf(payload[name]) === sha256;
}

export async function listArtifacts(context: AppContext, query: ArtifactQuery): Promise<ArtifactList> {
  const { store } = context;
  await requireExecution(context, query.executionId, "show the artifacts of");
  const size = pageSize(query.limit);
  const [sequence = 0, index = 0] = query.cursor === undefined ? [] : readCursor(query.cursor, ["number", "number"]).map(Number);
  const artifacts: ArtifactItem[] = [];
  for await (const found of artifactsOf(store, query.executionId, sequence)) {
    if (found.sequence === sequence && found.index < index) continue;
    if (query.taskId !== undefined && found.task !== query.taskId) continue;
    if (artifacts.length === size) return { artifacts, nextCursor: writeCursor([found.sequence, found.index]) };
    artifacts.push(toItem(found, await store.openBlob(found.artifact.sha256)));
  }
  return { artifacts, nextCursor: null };
}

function toItem({ artifact, task, attempt, time }: Found, blob: OpenedBlob | null): ArtifactItem {
  const { name, uri, sha256, content_type: contentType } = artifact;
  return { name, taskId: task, attempt, size: blob?.size ?? 0, sha256, uri, contentType, createdAt: toIso(time) };
}

/** The newest of that name. @throws EXECUTION_NOT_FOUND, ARTIFACT_NOT_FOUND */
export async function openArtifact(context: AppContext, request: ArtifactRequest): Promise<OpenedArtifact> {
  const { executionId, name, taskId } = request;
  await requireExecution(context, executionId, "show the artifacts of");
  let newest: Artifact | null = null;
  for await (const { artifact, task } of artifactsOf(context.store, executionId))
    if (artifact.name === name && (taskId === undefined || task === taskId)) newest = artifact;
  const blob = newest === null ? null : await context.store.openBlob(newest.sha256);
  if (newest !== null && blob !== null)
    return { name, sha256: newest.sha256, size: blob.size, contentType: newest.content_type, pieces: () => blob.pieces() };
  const of = taskId === undefined ? "" : ` of task "${taskId}"`;
  throw fail("ARTIFACT_NOT_FOUND", `Cannot show artifact "${name}"${of}: execution "${executionId}" has none of that name`, {
    hint: `\`workflow execution artifacts ${executionId}\` lists them.`,
  });
}

/** A stored file, as it can be copied. */
export type ArtifactContent = { path: string } | { bytes: Uint8Array };

/**
 * What `artifact:<sha256>` in a task's `inputs.files` stands for. Only what a task run of this execution left behind, or what the
 * execution's inputs name, can be had, since a store holds more than one execution may see: null for anything else.
 */
export async function findArtifactContent(store: Store, executionId: string, sha256: string): Promise<ArtifactContent | null> {
  const blob = (await isNamed(store, executionId, sha256)) ? await store.openBlob(sha256) : null;
  if (blob === null) return null;
  return blob.path === null ? { bytes: blob.bytes } : { path: blob.path };
}

async function isNamed(store: Store, executionId: string, sha256: string): Promise<boolean> {
  for await (const { artifact } of artifactsOf(store, executionId)) if (artifact.sha256 === sha256) return true;
  const row = await store.findExecution(executionId);
  return row !== null && JSON.stringify(await readColumn(store, row.inputs)).includes(`artifact:${sha256}`);
}
