// A task graph in characters: boxes by level with lines between, or, where that is too wide, a list of tasks with what they need.
import type { TaskDefinition } from "../../model/index.ts";
import { findLevels } from "../levels.ts";
import { type Layout, layoutTasks, type LayoutNode } from "./layout.ts";

const columnsMax = 110;
const boxesMax = 120;
const gap = 3;

/** Directions that a cell's line goes: bits for up, right, down, left. */
const up = 1;
const right = 2;
const down = 4;
const left = 8;
const lines = [" ", "│", "─", "└", "│", "│", "┌", "├", "─", "┘", "─", "┴", "┐", "┤", "┬", "┼"];

type Canvas = { text: string[][]; strokes: Map<number, number>[] };

function rowOf<T>(rows: T[], y: number, make: () => T): T {
  while (rows.length <= y) rows.push(make());
  return rows[y] as T;
}

function write(canvas: Canvas, { x, y }: { x: number; y: number }, text: string): void {
  const row = rowOf(canvas.text, y, () => []);
  [...text].forEach((unit, index) => {
    row[x + index] = unit;
  });
}

function stroke(canvas: Canvas, x: number, y: number, bits: number): void {
  const row = rowOf(canvas.strokes, y, () => new Map());
  row.set(x, (row.get(x) ?? 0) | bits);
}

function vertical(canvas: Canvas, x: number, from: number, to: number): void {
  for (let y = from; y <= to; y++) stroke(canvas, x, y, (y > from ? up : 0) | (y < to ? down : 0));
}

function horizontal(canvas: Canvas, y: number, from: number, to: number): void {
  for (let x = from; x <= to; x++) stroke(canvas, x, y, (x > from ? left : 0) | (x < to ? right : 0));
}

function widthOf(node: LayoutNode): number {
  return node.task === null ? 1 : node.task.id.length + 4;
}

/** Middle column of every node: levels are centred on each other. */
function centres(layout: Layout): { middle: Map<LayoutNode, number>; width: number } {
  const widths = layout.layers.map((layer) => layer.reduce((sum, node) => sum + widthOf(node) + gap, -gap));
  const width = Math.max(0, ...widths);
  const middle = new Map<LayoutNode, number>();
  layout.layers.forEach((layer, index) => {
    let x = Math.floor((width - (widths[index] ?? 0)) / 2);
    for (const node of layer) {
      middle.set(node, x + Math.floor(widthOf(node) / 2));
      x += widthOf(node) + gap;
    }
  });
  return { middle, width };
}

function drawBox(canvas: Canvas, node: LayoutNode, middle: number, y: number): void {
  if (node.task === null) return vertical(canvas, middle, y - 1, y + 3);
  const x = middle - Math.floor(widthOf(node) / 2);
  const bar = "─".repeat(widthOf(node) - 2);
  write(canvas, { x, y }, `┌${bar}┐`);
  write(canvas, { x, y: y + 1 }, `│ ${node.task.id} │`);
  write(canvas, { x, y: y + 2 }, `└${bar}┘`);
}

/** Lines between two levels; every node above has a row of its own, so that lines to different tasks do not run together. */
function drawEdges(
  canvas: Canvas,
  above: readonly LayoutNode[],
  targets: ReadonlyMap<LayoutNode, LayoutNode[]>,
  place: { middle: Map<LayoutNode, number>; y: number },
): number {
  const sources = above.filter((node) => (targets.get(node) ?? []).length > 0);
  const bottom = place.y + sources.length + 1;
  sources.forEach((node, index) => {
    const track = place.y + 1 + index;
    const from = place.middle.get(node) ?? 0;
    const ends = (targets.get(node) ?? []).map((target) => place.middle.get(target) ?? 0);
    vertical(canvas, from, place.y, track);
    horizontal(canvas, track, Math.min(from, ...ends), Math.max(from, ...ends));
    for (const end of ends) vertical(canvas, end, track, bottom);
  });
  for (const node of sources) {
    for (const target of targets.get(node) ?? []) if (target.task !== null) write(canvas, { x: place.middle.get(target) ?? 0, y: bottom }, "▼");
  }
  return bottom;
}

function renderCanvas(canvas: Canvas): string {
  const height = Math.max(canvas.text.length, canvas.strokes.length);
  const rows: string[] = [];
  for (let y = 0; y < height; y++) {
    const text = canvas.text[y] ?? [];
    const strokes = canvas.strokes[y] ?? new Map<number, number>();
    const width = Math.max(text.length, ...[...strokes.keys()].map((x) => x + 1));
    rows.push(
      Array.from({ length: width }, (_, x) => text[x] ?? lines[strokes.get(x) ?? 0] ?? " ")
        .join("")
        .trimEnd(),
    );
  }
  return rows.join("\n");
}

function drawBoxes(layout: Layout, middle: Map<LayoutNode, number>): string {
  const canvas: Canvas = { text: [], strokes: [] };
  const targets = new Map<LayoutNode, LayoutNode[]>();
  for (const { from, to } of layout.edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  let y = 0;
  for (const layer of layout.layers) {
    for (const node of layer) drawBox(canvas, node, middle.get(node) ?? 0, y);
    y = drawEdges(canvas, layer, targets, { middle, y: y + 3 }) + 1;
  }
  return renderCanvas(canvas);
}

function drawList(tasks: readonly TaskDefinition[]): string {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const rows = findLevels(tasks).flatMap((level, index) =>
    level.map((id, position) => {
      const needs = byId.get(id)?.needs ?? [];
      const shown = needs.length > 8 ? [...needs.slice(0, 8), `… ${needs.length - 8} more`] : needs;
      return `${(position === 0 ? `${index + 1}` : "").padStart(4)}  ${id}${shown.length > 0 ? `  ◀─ ${shown.join(", ")}` : ""}`;
    }),
  );
  return rows.join("\n");
}

/** Several lines without a line break at the end. */
export function drawAscii(tasks: readonly TaskDefinition[]): string {
  if (tasks.length > boxesMax) return drawList(tasks);
  const layout = layoutTasks(tasks);
  const { middle, width } = centres(layout);
  return width > columnsMax ? drawList(tasks) : drawBoxes(layout, middle);
}
