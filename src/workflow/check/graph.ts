// The graph of needs: unknown and own ids, cycles with their chain, and which tasks are upstream of which.
import type { Report } from "../source/report.ts";
import { didYouMean } from "./nearest.ts";
import type { NeedSite, TaskSite } from "./sites.ts";

/** Upstream sets as bits, one row per task; a workflow of the largest size takes half a megabyte. */
export type Upstream = { has(task: number, candidate: number): boolean };

type Graph = { sites: readonly TaskSite[]; byId: ReadonlyMap<string, TaskSite> };

export function indexSites(sites: readonly TaskSite[]): Map<string, TaskSite> {
  const byId = new Map<string, TaskSite>();
  for (const site of sites) if (site.id !== null && !byId.has(site.id)) byId.set(site.id, site);
  return byId;
}

function checkNeed({ sites, byId }: Graph, site: TaskSite, need: NeedSite, report: Report): void {
  const at = { path: need.path, at: need.node };
  const target = byId.get(need.id);
  if (need.id === site.id) report.add({ code: "SELF_NEED", message: `The task "${need.id}" needs itself`, ...at });
  else if (target === undefined) {
    const near = (): string[] => sites.flatMap((other) => (other.phase === site.phase && other.id !== null ? other.id : []));
    report.add({ code: "UNKNOWN_NEED", message: `There is no task "${need.id}"`, hint: () => didYouMean(need.id, near()), ...at });
  } else if (target.phase !== site.phase) {
    const where =
      site.phase === null
        ? "a task of `tasks` cannot need a handler"
        : `a task of \`${site.phase}\` can only need tasks of the same list, since all others have ended`;
    report.add({ code: "UNKNOWN_NEED", message: `"${need.id}" cannot be needed here: ${where}`, ...at });
  }
}

/** Tasks that a task needs, those that count: known, not itself. */
function edges({ byId }: Graph, site: TaskSite): { to: TaskSite; need: NeedSite }[] {
  return site.needs.flatMap((need) => {
    const to = byId.get(need.id);
    return to === undefined || to === site || to.phase !== site.phase ? [] : [{ to, need }];
  });
}

type Visit = { site: TaskSite; next: number; out: { to: TaskSite; need: NeedSite }[] };

/** Depth-first without recursion, a chain of thousands being normal. Calls back for every edge that closes a cycle; returns an order, needs first. */
function traverse(graph: Graph, onCycle: (trail: TaskSite[], closing: NeedSite) => void): TaskSite[] {
  const state = new Map<TaskSite, "open" | "done">();
  const order: TaskSite[] = [];
  for (const start of graph.sites) {
    if (state.has(start)) continue;
    const stack: Visit[] = [{ site: start, next: 0, out: edges(graph, start) }];
    state.set(start, "open");
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const edge = top.out[top.next++];
      if (edge === undefined) {
        state.set(top.site, "done");
        order.push(top.site);
        stack.pop();
      } else if (state.get(edge.to) === "open") {
        const from = stack.findIndex((visit) => visit.site === edge.to);
        onCycle(
          stack.slice(from).map((visit) => visit.site),
          edge.need,
        );
      } else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        stack.push({ site: edge.to, next: 0, out: edges(graph, edge.to) });
      }
    }
  }
  return order;
}

function cycleText(trail: readonly TaskSite[]): string {
  const ids = trail.map((site) => site.id ?? "?");
  const shown = ids.length > 12 ? [...ids.slice(0, 6), "…", ...ids.slice(-5)] : ids;
  return [...shown, ids[0] ?? "?"].join(" → ");
}

function upstreamOf(graph: Graph, order: readonly TaskSite[]): Upstream {
  const words = Math.ceil(graph.sites.length / 32);
  const bits = new Uint32Array(words * graph.sites.length);
  for (const site of order) {
    const row = site.index * words;
    for (const { to } of edges(graph, site)) {
      const other = to.index * words;
      for (let word = 0; word < words; word++) bits[row + word] = (bits[row + word] ?? 0) | (bits[other + word] ?? 0);
      bits[row + (to.index >> 5)] = (bits[row + (to.index >> 5)] ?? 0) | (1 << (to.index & 31));
    }
  }
  return { has: (task, candidate) => (((bits[task * words + (candidate >> 5)] ?? 0) >>> (candidate & 31)) & 1) === 1 };
}

/** Checks all needs. The result answers for well-formed graphs; within cycles it may miss some. */
export function checkGraph(sites: readonly TaskSite[], byId: ReadonlyMap<string, TaskSite>, report: Report): Upstream {
  const graph = { sites, byId };
  for (const site of sites) for (const need of site.needs) checkNeed(graph, site, need, report);
  const order = traverse(graph, (trail, closing) => {
    report.add({ code: "CYCLE", path: closing.path, message: `Tasks need each other: ${cycleText(trail)}`, at: closing.node });
  });
  return upstreamOf(graph, order);
}
