// A workflow under construction, and its text. Parts remember where in the source they come from.
import { Document, isMap, isScalar, isSeq, type Node, type YAMLMap } from "yaml";
import type { JsonObject } from "../../base/index.ts";
import type { Place } from "./notes.ts";

/** One item of a list of the workflow; `comment` stands above it in the result. */
export type DraftItem = { value: JsonObject; place: Place; comment: string | null };

export type Draft = {
  id: string;
  name: string | null;
  description: string | null;
  labels: Record<string, string>;
  inputs: DraftItem[];
  secrets: Set<string>;
  triggers: DraftItem[];
  concurrency: JsonObject | null;
  timeout: string | null;
  tasks: DraftItem[];
  onFailure: DraftItem[];
  finally: DraftItem[];
  /** Comment at the top of the file. */
  comment: string | null;
  /** The part of the source that the workflow as a whole comes from. */
  place: Place;
};

export function createDraft(id: string, place: Place): Draft {
  const lists = { inputs: [], triggers: [], tasks: [], onFailure: [], finally: [] };
  return { id, name: null, description: null, labels: {}, secrets: new Set(), concurrency: null, timeout: null, comment: null, place, ...lists };
}

export const listKeys = ["inputs", "triggers", "tasks", "onFailure", "finally"] as const;

/** The plain value of the workflow, keys in the language's order. */
function draftValue(draft: Draft): JsonObject {
  const { id, name, description, labels, secrets, concurrency, timeout } = draft;
  const value: JsonObject = { id };
  if (name !== null) value["name"] = name;
  if (description !== null) value["description"] = description;
  if (Object.keys(labels).length > 0) value["labels"] = labels;
  const list = (key: (typeof listKeys)[number]): void => {
    if (draft[key].length > 0) value[key] = draft[key].map((item) => item.value);
  };
  list("inputs");
  if (secrets.size > 0) value["secrets"] = [...secrets];
  list("triggers");
  if (concurrency !== null) value["concurrency"] = concurrency;
  if (timeout !== null) value["timeout"] = timeout;
  for (const key of ["tasks", "onFailure", "finally"] as const) list(key);
  return value;
}

/** The library writes a comment's lines behind `#` as they are; a line break of another kind in one would end it. */
function commentText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]/g, "").replace(/^(?=\S)/gm, " ");
}

function putComments(document: Document, draft: Draft): void {
  const root = document.contents;
  if (!isMap(root)) return;
  for (const key of listKeys) {
    const list = root.get(key) as unknown;
    if (!isSeq(list)) continue;
    list.items.forEach((node, index) => {
      const comment = draft[key][index]?.comment ?? null;
      if (comment !== null) (node as Node).commentBefore = commentText(comment);
    });
  }
  const first = (root as YAMLMap).items[0]?.key;
  if (draft.comment !== null && isScalar(first)) document.commentBefore = commentText(draft.comment);
}

/** Short lists and the ids in them stand on one line. */
function putFlow(node: unknown): void {
  if (isMap(node)) for (const pair of node.items) putFlow(pair.value);
  if (!isSeq(node)) return;
  const isShort = node.items.every((item) => isScalar(item) && String(item.value).length <= 40 && !String(item.value).includes("\n"));
  if (isShort && node.items.length <= 12) node.flow = true;
  else node.items.forEach(putFlow);
}

/** The workflow as YAML. */
export function renderDraft(draft: Draft): string {
  const document = new Document(draftValue(draft), { aliasDuplicateObjects: false });
  putFlow(document.contents);
  putComments(document, draft);
  return document.toString({ indent: 2, lineWidth: 0, flowCollectionPadding: false, indentSeq: true });
}
