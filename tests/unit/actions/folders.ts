// The folders that an action finds in its environment, made for a test and removed after it.
import { afterEach, beforeEach } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Folders = { workspace: string; workdir: string; folder: string };

/** Sets WORKSPACE, TMPDIR and WORKFLOW_DIR before each test of the file. */
export function useFolders(): () => Folders {
  let root = "";
  let saved: Record<string, string | undefined> = {};
  const folders = () => ({ workspace: join(root, "workspace"), workdir: join(root, "work"), folder: join(root, "project") });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "action-"));
    const { workspace, workdir, folder } = folders();
    for (const path of [workspace, workdir, folder]) mkdirSync(path);
    saved = { WORKSPACE: process.env["WORKSPACE"], TMPDIR: process.env["TMPDIR"], WORKFLOW_DIR: process.env["WORKFLOW_DIR"] };
    Object.assign(process.env, { WORKSPACE: workspace, TMPDIR: workdir, WORKFLOW_DIR: folder });
  });
  afterEach(() => {
    for (const [name, value] of Object.entries(saved)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(root, { recursive: true, force: true });
  });
  return folders;
}

/** The code that a promise is rejected with, "none" when it is not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (cause) {
    return String((cause as { code?: unknown }).code);
  }
}
