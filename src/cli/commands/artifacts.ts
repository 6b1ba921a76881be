// execution artifacts: the list of files that an execution's tasks left behind, or one of them: to stdout, or into a file.
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fail, startSha256 } from "../../base/index.ts";
import type { Facade, OpenedArtifact } from "../../app/index.ts";
import type { CliContext } from "../context.ts";
import { parsePage } from "../option-values.ts";
import { noteMore } from "./workflows.ts";

type ArtifactValues = {
  id: string;
  name: string | null;
  output: string | null;
  task: string | null;
  force: boolean;
  limit: string | null;
  cursor: string | null;
};

export async function showArtifacts(context: CliContext, values: ArtifactValues): Promise<void> {
  const { id, name, output } = values;
  const page = parsePage(values);
  if (name === null && (output !== null || values.force)) throw fail("USAGE", "Cannot write a list of artifacts: name the one to write");
  const task = values.task === null ? {} : { taskId: values.task };
  const { facade } = await context.connect();
  if (name === null) return await printList(context, facade, { executionId: id, ...task, ...page });
  const artifact = await facade.openArtifact({ executionId: id, name, ...task });
  if (output === null || output === "-") return await printBytes(context, artifact);
  const file = await writeFile(placeOf(context, output, name), artifact, { force: values.force });
  if (context.common.json) return context.printJson(file);
  context.note(`Wrote ${file.file} (${file.size} bytes).`);
}

async function printList(context: CliContext, facade: Facade, query: Parameters<Facade["listArtifacts"]>[0]): Promise<void> {
  const page = await facade.listArtifacts(query);
  if (context.common.json) return context.printJson(page);
  if (page.artifacts.length === 0) return context.note("No artifacts.");
  context.printTable(page.artifacts, [
    { title: "NAME", value: (row) => row.name },
    { title: "TASK", value: (row) => row.taskId },
    { title: "TRY", value: (row) => String(row.attempt), align: "right" },
    { title: "SIZE", value: (row) => String(row.size), align: "right" },
    { title: "TYPE", value: (row) => row.contentType },
    { title: "CREATED", value: (row) => row.createdAt },
    { title: "URI", value: (row) => row.uri },
  ]);
  noteMore(context, page.nextCursor);
}

const isText = (contentType: string) => /^text\/|[/+](?:json|yaml|xml)\b/.test(contentType);

async function printBytes(context: CliContext, artifact: OpenedArtifact): Promise<void> {
  const { io } = context;
  if (io.stdoutIsTty && !isText(artifact.contentType))
    throw fail("USAGE", `Cannot print "${artifact.name}": it is ${artifact.contentType}, and stdout is a terminal`, {
      hint: "Write it with -o FILE.",
    });
  await eachPiece(artifact, (piece) => io.stdout(piece));
}

/** Into a folder that is there under its own name. What a task called its file leads nowhere else. */
function placeOf(context: CliContext, output: string, name: string): string {
  const path = resolve(context.io.cwd, output);
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? join(path, basename(name)) : path;
}

type Written = { file: string; name: string; size: number; sha256: string };

async function writeFile(file: string, artifact: OpenedArtifact, { force }: { force: boolean }): Promise<Written> {
  const target = openTarget(file, force);
  let size = 0;
  try {
    await eachPiece(artifact, (piece) => {
      for (let at = 0; at < piece.byteLength; ) at += writeSync(target, piece, at);
      size += piece.byteLength;
    });
  } catch (cause) {
    rmSync(file, { force: true });
    throw cause;
  } finally {
    closeSync(target);
  }
  return { file, name: artifact.name, size, sha256: artifact.sha256 };
}

function openTarget(file: string, force: boolean): number {
  try {
    return openSync(file, force ? "w" : "wx", 0o666);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === "EEXIST") throw fail("ALREADY_EXISTS", `Cannot write "${file}": it is there already`, { hint: "Overwrite it with --force.", cause });
    throw fail("FILE_NOT_FOUND", `Cannot write "${file}": ${String(code ?? cause)}`, { cause });
  }
}

/** @throws PAYLOAD_DIGEST_MISMATCH after the last piece, when the bytes are not those that were stored */
async function eachPiece({ name, sha256, pieces }: OpenedArtifact, take: (piece: Uint8Array) => void): Promise<void> {
  const digest = startSha256();
  for await (const piece of pieces()) {
    digest.update(piece);
    take(piece);
  }
  if (digest.hex() !== sha256) throw fail("PAYLOAD_DIGEST_MISMATCH", `Cannot read artifact "${name}": its bytes are not those that were stored`);
}
