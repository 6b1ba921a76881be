// The built-in actions as the language knows them, one file for each plugin. What they do is written in src/actions and in the engine.
import type { ActionDescription } from "./describe.ts";
import { archiveActions } from "./archive.ts";
import { controlFlowActions } from "./control-flow.ts";
import { csvActions } from "./csv.ts";
import { dockerActions } from "./docker.ts";
import { emailActions } from "./email.ts";
import { fileActions } from "./file.ts";
import { gitActions } from "./git.ts";
import { httpActions } from "./http.ts";
import { jsonActions } from "./json.ts";
import { scriptActions } from "./script.ts";
import { shellActions } from "./shell.ts";
import { sqlActions } from "./sql.ts";
import { sshActions } from "./ssh.ts";

/** Every built-in, sorted by name. */
export const coreActions: readonly ActionDescription[] = [
  ...archiveActions,
  ...controlFlowActions,
  ...csvActions,
  ...dockerActions,
  ...emailActions,
  ...fileActions,
  ...gitActions,
  ...httpActions,
  ...jsonActions,
  ...scriptActions,
  ...shellActions,
  ...sqlActions,
  ...sshActions,
].toSorted((a, b) => (a.action < b.action ? -1 : 1));

const byName = new Map(coreActions.map((known) => [known.action, known]));

/** The built-in of that name, null when there is none. */
export function findCoreAction(action: string): ActionDescription | null {
  return byName.get(action) ?? null;
}
