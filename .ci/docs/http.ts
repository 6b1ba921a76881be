// docs/reference/http.md: every route with its scope and answers, from the route table.
import { routes } from "../../src/server/index.ts";
import { generatedNote, renderTable as table } from "./table.ts";

export function renderHttp(): string {
  const groups = [...Map.groupBy(routes, (route) => route.tag)];
  const parts = groups.map(([tag, found]) => {
    const rows = found.map((route) => [
      `\`${route.method} ${route.path}\``,
      route.isRaw === true ? "own proof" : route.scope === null ? "no key" : `\`${route.scope}\``,
      route.summary,
      Object.keys(route.answers).join(", "),
    ]);
    return `## ${tag}\n\n${table(["route", "scope", "does", "answers"], rows)}`;
  });
  const intro = "Generated from the route table; `GET /openapi.json` has the forms. Refusals are in [errors.md](errors.md).";
  return `${generatedNote}\n\n# HTTP routes\n\n${intro}\n\n${parts.join("\n\n")}\n`;
}
