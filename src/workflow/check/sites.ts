// The tasks of a raw workflow with their places, whatever else is wrong with them: what the checks across tasks work on.
import type { TaskPhase } from "../../model/index.ts";
import { entryOf, itemsOf, memberOf, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";

export type NeedSite = { id: string; node: RawNode; path: string };
/** `index` counts over all phases, in the order tasks, onFailure, finally. */
export type TaskSite = { id: string | null; index: number; phase: TaskPhase | null; path: string; node: RawNode; needs: NeedSite[] };

export function textOf(node: RawNode | undefined): string | null {
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : null;
}

export function textsOf(node: RawNode | undefined): string[] {
  return itemsOf(node).flatMap((item) => textOf(item) ?? []);
}

function needsOf(node: RawNode, path: string): NeedSite[] {
  return itemsOf(memberOf(node, "needs")).flatMap((item, index) => {
    const id = textOf(item);
    return id === null ? [] : [{ id, node: item, path: `${path}.needs[${index}]` }];
  });
}

/** All tasks and handlers. */
export function findSites(root: RawNode): TaskSite[] {
  const sites: TaskSite[] = [];
  for (const [key, phase] of [
    ["tasks", null],
    ["onFailure", "onFailure"],
    ["finally", "finally"],
  ] as const) {
    for (const [position, node] of itemsOf(memberOf(root, key)).entries()) {
      const path = `${key}[${position}]`;
      sites.push({ id: textOf(memberOf(node, "id")), index: sites.length, phase, path, node, needs: needsOf(node, path) });
    }
  }
  return sites;
}

/** Names that would be taken for something else by JavaScript or CEL. */
const reserved = new Set(["__proto__"]);

/** Reports every occurrence of an id that is used twice, and ids that cannot be used. */
export function checkIds(owners: readonly { node: RawNode; path: string }[], what: string, report: Report): void {
  const found = new Map<string, { node: RawNode; path: string }[]>();
  for (const { node, path } of owners) {
    const at = entryOf(node, "id")?.value;
    const id = textOf(at);
    if (at === undefined || id === null) continue;
    const place = { node: at, path: `${path}.id` };
    if (reserved.has(id)) report.add({ code: "BAD_VALUE", path: place.path, message: `The id "${id}" is reserved`, at });
    found.set(id, [...(found.get(id) ?? []), place]);
  }
  for (const [id, places] of found) {
    if (places.length < 2) continue;
    for (const { node, path } of places)
      report.add({ code: "DUPLICATE_ID", path, message: `The id "${id}" is used by ${places.length} ${what}`, at: node });
  }
}
