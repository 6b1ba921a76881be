// Checks of a `permissions:` block beyond its form: entries that mean nothing, and entries that can never match.
import { itemsOf, memberOf, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { coversPath, findNetworkProblem, findPathProblem, isNeverCopied, meetNetwork } from "../../model/index.ts";
import { textOf, textsOf } from "./sites.ts";

type Block = { node: RawNode | undefined; path: string; hasFolder: boolean; report: Report };

function eachEntry(list: RawNode | undefined, path: string, visit: (entry: string, node: RawNode, path: string) => void): void {
  for (const [index, item] of itemsOf(list).entries()) {
    const entry = textOf(item);
    if (entry !== null) visit(entry, item, `${path}[${index}]`);
  }
}

function checkPaths(block: Block, kind: "read" | "write"): void {
  eachEntry(memberOf(memberOf(block.node, "filesystem"), kind), `${block.path}.filesystem.${kind}`, (entry, at, path) => {
    const { relative, problem } = findPathProblem(entry);
    if (problem !== null) block.report.add({ code: "BAD_VALUE", path, message: `The entry "${entry}" ${problem}`, at });
    else if (relative && !block.hasFolder) {
      block.report.add({
        code: "BAD_VALUE",
        path,
        message: `The entry "${entry}" is relative, but this workflow has no folder to start from`,
        at,
        hint: "Use an absolute path or $workspace, or apply the workflow from its folder.",
      });
    }
    if (problem === null && kind === "write" && /^\$(?:plugin|input)(?:\/|$)/.test(entry)) unused(block, { entry, at, path }, "is never writable");
  });
}

function unused({ report }: Block, { entry, at, path }: { entry: string; at: RawNode; path: string }, why: string): void {
  report.add({ code: "GRANT_UNUSED", path, message: `The entry "${entry}" can never match: it ${why}`, at, warning: true });
}

/** Checks the workflow's block, or a task's. */
export function checkPermissions(block: Block): void {
  eachEntry(memberOf(block.node, "network"), `${block.path}.network`, (entry, at, path) => {
    const problem = findNetworkProblem(entry);
    if (problem !== null) block.report.add({ code: "BAD_VALUE", path, message: `The entry "${entry}" ${problem}`, at });
  });
  checkPaths(block, "read");
  checkPaths(block, "write");
  eachEntry(memberOf(block.node, "env"), `${block.path}.env`, (entry, at, path) => {
    if (isNeverCopied(entry)) unused(block, { entry, at, path }, "is never copied into a task");
  });
}

const overlaps = (a: string, b: string) => coversPath(a, b) || coversPath(b, a);

/** Warns about entries of a task that the workflow does not grant: a task narrows, it never widens. */
export function checkNarrowing(task: Block, workflow: RawNode | undefined): void {
  const files = memberOf(task.node, "filesystem");
  const granted = memberOf(workflow, "filesystem");
  const writable = textsOf(memberOf(granted, "write"));
  const lists: [RawNode | undefined, string, string[], (grant: string, entry: string) => boolean][] = [
    [memberOf(task.node, "network"), "network", textsOf(memberOf(workflow, "network")), (grant, entry) => meetNetwork(grant, entry) !== null],
    [memberOf(files, "read"), "filesystem.read", [...textsOf(memberOf(granted, "read")), ...writable], overlaps],
    [memberOf(files, "write"), "filesystem.write", writable, overlaps],
    [memberOf(task.node, "env"), "env", textsOf(memberOf(workflow, "env")), (grant, entry) => grant === entry],
  ];
  for (const [list, name, grants, meets] of lists) {
    eachEntry(list, `${task.path}.${name}`, (entry, at, path) => {
      if (!grants.some((grant) => meets(grant, entry))) unused(task, { entry, at, path }, "is not granted by the workflow");
    });
  }
}
