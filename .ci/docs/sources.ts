// The registry of generated files: `npm run docs` writes each, and tidy compares each. Add a page by adding a line.
import { renderConformance } from "../../tests/conformance/generate.ts";
import { workflowJsonSchema } from "../../src/workflow/index.ts";
import { renderActions } from "./actions.ts";
import { renderCli } from "./cli.ts";
import { renderConfig } from "./config.ts";
import { renderDiagnostics } from "./diagnostics.ts";
import { renderErrors } from "./errors.ts";
import { renderEvents } from "./events.ts";
import { renderHttp } from "./http.ts";
import { renderRoles } from "./roles.ts";

/** A file of the repository that is made from code. `render` gets the path of the repository. */
type DocsSource = { path: string; render: (root: string) => string | Promise<string> };

/** JSON schemas for editors and other tools; each is the value that its folder exports. */
const schemas: Record<string, () => unknown> = { workflow: workflowJsonSchema };

export const docsSources: readonly DocsSource[] = [
  { path: "docs/reference/errors.md", render: renderErrors },
  { path: "docs/reference/events.md", render: renderEvents },
  { path: "docs/reference/diagnostics.md", render: renderDiagnostics },
  { path: "docs/reference/cli.md", render: renderCli },
  { path: "docs/reference/actions.md", render: renderActions },
  { path: "docs/reference/config.md", render: renderConfig },
  { path: "docs/reference/http.md", render: renderHttp },
  { path: "docs/reference/roles.md", render: renderRoles },
  { path: "docs/conformance.md", render: renderConformance },
  ...Object.entries(schemas).map(([name, schema]) => ({
    path: `assets/schemas/${name}.schema.json`,
    render: () => `${JSON.stringify(schema(), null, 2)}\n`,
  })),
];
