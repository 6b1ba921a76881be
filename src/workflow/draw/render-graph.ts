// `workflow graph`: the tasks of a workflow as a picture, in four formats.
import type { TaskDefinition, WorkflowDefinition } from "../../model/index.ts";
import { drawAscii } from "./ascii.ts";
import { drawSvg, type Section } from "./svg.ts";

export const graphFormats = ["ascii", "mermaid", "dot", "svg"] as const;
export type GraphFormat = (typeof graphFormats)[number];

function sectionsOf(definition: WorkflowDefinition): Section[] {
  const sections: Section[] = [
    { title: null, tasks: definition.tasks },
    { title: "on failure", tasks: definition.onFailure },
    { title: "finally", tasks: definition.finally },
  ];
  return sections.filter((section) => section.tasks.length > 0);
}

/** Names by position, since ids may be words of the picture's language. */
function numberTasks(sections: readonly Section[]): Map<string, string> {
  return new Map(sections.flatMap((section) => section.tasks).map((task, index) => [task.id, `t${index}`]));
}

function mermaidText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "#quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function mermaidTasks(tasks: readonly TaskDefinition[], names: ReadonlyMap<string, string>, indent: string): string[] {
  const nodes = tasks.map((task) => `${indent}${names.get(task.id) ?? ""}["${mermaidText(task.id)}<br/>${mermaidText(task.action)}"]`);
  const edges = tasks.flatMap((task) => task.needs.map((need) => `${indent}${names.get(need) ?? ""} --> ${names.get(task.id) ?? ""}`));
  return [...nodes, ...edges];
}

function drawMermaid(sections: readonly Section[]): string {
  const names = numberTasks(sections);
  const body = sections.flatMap(({ title, tasks }, index) =>
    title === null ? mermaidTasks(tasks, names, "  ") : [`  subgraph s${index}["${title}"]`, ...mermaidTasks(tasks, names, "    "), "  end"],
  );
  return `${["flowchart TD", ...body].join("\n")}\n`;
}

function dotText(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function dotTasks(tasks: readonly TaskDefinition[], names: ReadonlyMap<string, string>, indent: string): string[] {
  const nodes = tasks.map((task) => `${indent}${names.get(task.id) ?? ""} [label=${dotText(task.id)}, tooltip=${dotText(task.action)}];`);
  const edges = tasks.flatMap((task) => task.needs.map((need) => `${indent}${names.get(need) ?? ""} -> ${names.get(task.id) ?? ""};`));
  return [...nodes, ...edges];
}

function drawDot(name: string, sections: readonly Section[]): string {
  const names = numberTasks(sections);
  const body = sections.flatMap(({ title, tasks }, index) =>
    title === null
      ? dotTasks(tasks, names, "  ")
      : [`  subgraph cluster_${index} {`, `    label=${dotText(title)};`, ...dotTasks(tasks, names, "    "), "  }"],
  );
  return `${[`digraph ${dotText(name)} {`, "  rankdir=TB;", '  node [shape=box, style=rounded, fontname="monospace"];', ...body, "}"].join("\n")}\n`;
}

/** A picture as text, with a line break at its end. */
export function renderGraph(definition: WorkflowDefinition, format: GraphFormat): string {
  const sections = sectionsOf(definition);
  switch (format) {
    case "ascii":
      return `${sections.map(({ title, tasks }) => (title === null ? "" : `${title}:\n`) + drawAscii(tasks)).join("\n\n")}\n`;
    case "mermaid":
      return drawMermaid(sections);
    case "dot":
      return drawDot(definition.id, sections);
    case "svg":
      return drawSvg(definition.name ?? definition.id, sections);
  }
}
