// A task graph as one self-contained SVG file: no fonts, scripts or styles from elsewhere, readable on light and dark pages.
import type { TaskDefinition } from "../../model/index.ts";
import { type Layout, layoutTasks, type LayoutNode } from "./layout.ts";

export type Section = { title: string | null; tasks: readonly TaskDefinition[] };

const unit = 7.2;
const boxHeight = 44;
const layerGap = 44;
const columnGap = 24;
const margin = 20;
const titleHeight = 28;

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

function widthOf(node: LayoutNode): number {
  return node.task === null ? 8 : Math.max(80, Math.max(node.task.id.length, node.task.action.length) * unit + 24);
}

type Place = { x: number; y: number; width: number };

/** Levels are centred on each other; `x` is a node's middle, `y` its top. */
function placeNodes(layout: Layout, top: number): { places: Map<LayoutNode, Place>; width: number; height: number } {
  const widths = layout.layers.map((layer) => layer.reduce((sum, node) => sum + widthOf(node) + columnGap, -columnGap));
  const width = Math.max(0, ...widths);
  const places = new Map<LayoutNode, Place>();
  layout.layers.forEach((layer, index) => {
    let x = margin + (width - (widths[index] ?? 0)) / 2;
    for (const node of layer) {
      places.set(node, { x: x + widthOf(node) / 2, y: top + index * (boxHeight + layerGap), width: widthOf(node) });
      x += widthOf(node) + columnGap;
    }
  });
  return { places, width, height: layout.layers.length * (boxHeight + layerGap) - layerGap };
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function drawEdge(from: Place, to: Place, isLast: boolean): string {
  const y1 = from.y + boxHeight;
  const y2 = to.y - (isLast ? 6 : 0);
  const bend = (y2 - y1) / 2;
  const curve = `M${round(from.x)} ${round(y1)}C${round(from.x)} ${round(y1 + bend)} ${round(to.x)} ${round(y2 - bend)} ${round(to.x)} ${round(y2)}`;
  return `<path d="${curve}"${isLast ? ' marker-end="url(#tip)"' : `/><path d="M${round(to.x)} ${round(y2)}V${round(y2 + boxHeight)}"`}/>`;
}

function drawNode(node: LayoutNode, place: Place): string {
  if (node.task === null) return "";
  const x = round(place.x);
  return (
    `<g><rect x="${round(place.x - place.width / 2)}" y="${round(place.y)}" width="${round(place.width)}" height="${boxHeight}" rx="6"/>` +
    `<text x="${x}" y="${round(place.y + 19)}" class="id">${escapeXml(node.task.id)}</text>` +
    `<text x="${x}" y="${round(place.y + 35)}" class="action">${escapeXml(node.task.action)}</text></g>`
  );
}

const style =
  "text{font-family:ui-monospace,monospace;text-anchor:middle;fill:#1f2933}" +
  ".id{font-size:12px;font-weight:600}.action{font-size:10px;fill:#52606d}.title{font-size:12px;text-anchor:start;fill:#52606d}" +
  "rect{fill:#f5f7fa;stroke:#7b8794}path{fill:none;stroke:#7b8794}.tip{fill:#7b8794;stroke:none}" +
  "@media(prefers-color-scheme:dark){text{fill:#f5f7fa}.action,.title{fill:#cbd2d9}rect{fill:#323f4b;stroke:#9aa5b1}path{stroke:#9aa5b1}.tip{fill:#9aa5b1}}";

function drawSection(section: Section, top: number): { text: string; width: number; bottom: number } {
  const start = section.title === null ? top : top + titleHeight;
  const layout = layoutTasks(section.tasks);
  const { places, width, height } = placeNodes(layout, start);
  const parts = section.title === null ? [] : [`<text x="${margin}" y="${top + 16}" class="title">${escapeXml(section.title)}</text>`];
  for (const { from, to } of layout.edges) {
    const [a, b] = [places.get(from), places.get(to)];
    if (a !== undefined && b !== undefined) parts.push(drawEdge(a, b, to.task !== null));
  }
  for (const [node, place] of places) parts.push(drawNode(node, place));
  return { text: parts.join("\n"), width, bottom: start + height };
}

/** An SVG document; sections stand below each other. */
export function drawSvg(name: string, sections: readonly Section[]): string {
  let top = margin;
  let width = 0;
  const parts: string[] = [];
  for (const section of sections) {
    const drawn = drawSection(section, top);
    parts.push(drawn.text);
    width = Math.max(width, drawn.width);
    top = drawn.bottom + margin;
  }
  const size = `width="${round(width + 2 * margin)}" height="${round(top)}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${round(width + 2 * margin)} ${round(top)}" role="img" aria-label="${escapeXml(name)}">\n` +
    `<title>${escapeXml(name)}</title>\n<style>${style}</style>\n` +
    `<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="2" refY="4" orient="auto">` +
    `<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>\n${parts.join("\n")}\n</svg>\n`
  );
}
