// A layered layout: levels from the needs, order within a level by the neighbours' mean position, so that few edges cross.
import type { TaskDefinition } from "../../model/index.ts";
import { findLevels } from "../levels.ts";

/** `task` is null for a waypoint, through which an edge passes a level that it does not end in. */
export type LayoutNode = { key: string; task: TaskDefinition | null; layer: number; order: number };
/** Edges only lead from one layer to the next. */
export type LayoutEdge = { from: LayoutNode; to: LayoutNode };
export type Layout = { layers: LayoutNode[][]; edges: LayoutEdge[] };

/** Beyond it, long edges are drawn straight: waypoints would outnumber the tasks by far. */
const waypointsMax = 5000;
const sweeps = 6;

function countWaypoints(tasks: readonly TaskDefinition[], layerOf: ReadonlyMap<string, number>): number {
  let count = 0;
  for (const task of tasks) for (const need of task.needs) count += Math.max(0, (layerOf.get(task.id) ?? 0) - (layerOf.get(need) ?? 0) - 1);
  return count;
}

function connect(layout: Layout, from: LayoutNode, to: LayoutNode, withWaypoints: boolean): void {
  let last = from;
  const end = withWaypoints ? to.layer : 0;
  for (let layer = from.layer + 1; layer < end; layer++) {
    const row = layout.layers[layer] ?? [];
    const waypoint: LayoutNode = { key: `${from.key}>${to.key}@${layer}`, task: null, layer, order: row.length };
    row.push(waypoint);
    layout.edges.push({ from: last, to: waypoint });
    last = waypoint;
  }
  layout.edges.push({ from: last, to });
}

function neighbours(edges: readonly LayoutEdge[], side: "from" | "to"): Map<LayoutNode, LayoutNode[]> {
  const other = side === "from" ? "to" : "from";
  const found = new Map<LayoutNode, LayoutNode[]>();
  for (const edge of edges) {
    const known = found.get(edge[other]);
    if (known === undefined) found.set(edge[other], [edge[side]]);
    else known.push(edge[side]);
  }
  return found;
}

function reorder(layer: LayoutNode[], toward: ReadonlyMap<LayoutNode, LayoutNode[]>): void {
  const mean = new Map(
    layer.map((node) => {
      const near = toward.get(node) ?? [];
      return [node, near.length === 0 ? node.order : near.reduce((sum, other) => sum + other.order, 0) / near.length];
    }),
  );
  layer.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0) || a.order - b.order);
  layer.forEach((node, order) => {
    node.order = order;
  });
}

/** Lays out tasks that form a graph without cycles; needs outside the list are ignored. */
export function layoutTasks(tasks: readonly TaskDefinition[]): Layout {
  const levels = findLevels(tasks);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const layers = levels.map((ids, layer) => ids.map((id, order): LayoutNode => ({ key: id, task: byId.get(id) ?? null, layer, order })));
  const layout: Layout = { layers, edges: [] };
  const nodes = new Map(layers.flat().map((node) => [node.key, node]));
  const withWaypoints = countWaypoints(tasks, new Map([...nodes].map(([id, node]) => [id, node.layer]))) <= waypointsMax;
  for (const task of tasks) {
    const to = nodes.get(task.id);
    for (const need of task.needs) {
      const from = nodes.get(need);
      if (from !== undefined && to !== undefined) connect(layout, from, to, withWaypoints);
    }
  }
  const above = neighbours(layout.edges, "from");
  const below = neighbours(layout.edges, "to");
  for (let sweep = 0; sweep < sweeps; sweep++) {
    if (sweep % 2 === 0) for (const layer of layers) reorder(layer, above);
    else for (const layer of layers.toReversed()) reorder(layer, below);
  }
  return layout;
}
