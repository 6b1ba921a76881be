// The learned block as the YAML that goes into a workflow.
import { stringify } from "yaml";
import type { Learned } from "./least-permissions.ts";

/** Ends with a line break. Remarks stand before it as comments. */
export function renderLearned({ permissions, notes }: Learned): string {
  const block = stringify({ permissions }, { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN", lineWidth: 0 });
  // What tasks touched is theirs to name: nothing of it may end a comment.
  return [...notes.map((note) => `# ${JSON.stringify(note).slice(1, -1)}\n`), block].join("");
}
