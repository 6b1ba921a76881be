// Holds this repository to its house rules. Each rule has its own tests in rules.test.ts.
import { expect, test } from "bun:test";
import { docsSources } from "../../.ci/docs/sources.ts";
import { loadRepository, root } from "./repository.ts";
import { restrictedUse } from "./rules/bans.ts";
import { codes } from "./rules/codes.ts";
import { deadExports } from "./rules/exports.ts";
import { freshWith } from "./rules/fresh.ts";
import { layers } from "./rules/layers.ts";
import { links } from "./rules/links.ts";
import { lock } from "./rules/lock.ts";
import { sizesWith } from "./rules/sizes.ts";
import type { Waiver } from "./rules/sizes.ts";
import { indexOnlyExports, noAny, noDefaultExport, noEnum, skipHasReason } from "./rules/syntax.ts";
import { headerComment, lineForm, names, noMarkers } from "./rules/text.ts";
import type { Rule } from "./source.ts";

/** The only files and functions that may pass the size limits: at most five. */
const sizeWaivers: readonly Waiver[] = [
  { at: "tests/contract/event-cases.ts#eventCases", why: "one describe of short cases in the order in which a reader of the port meets them" },
  { at: "tests/contract/row-cases.ts#executionCases", why: "one describe of short cases in the order in which a reader of the port meets them" },
];

const rendered = await Promise.all(docsSources.map(async ({ path, render }) => ({ path, text: await render(root) })));
const files = await loadRepository();

const rules: Record<string, Rule> = {
  "folders import lower layers, through index.ts": layers,
  "drivers, environment, processes and time stay where they belong": restrictedUse,
  "nothing is exported as default": noDefaultExport,
  "no any": noAny,
  "no enums": noEnum,
  "index.ts only exports": indexOnlyExports,
  "files and functions stay small": sizesWith(sizeWaivers),
  "source files open with a comment": headerComment,
  "no leftover markers": noMarkers,
  "names say something": names,
  "no dead exports": deadExports,
  "codes are unique and documented": codes,
  "generated documents are fresh": freshWith(rendered),
  "the lock is whole": lock,
  "lines are clean": lineForm,
  "skipped tests say why": skipHasReason,
  "links in documents lead somewhere": links,
};

test("the rules see the repository", () => {
  const paths = files.map((file) => file.path);
  expect(paths).toContain("package.json");
  expect(paths).toContain("src/base/errors.ts");
  expect(paths).toContain("tests/tidy/tidy.test.ts");
  expect(paths.some((path) => path.includes("node_modules"))).toBe(false);
});

for (const [title, rule] of Object.entries(rules)) {
  test(title, () => {
    const found = rule(files).map(({ path, line, message }) => `${path}:${line}: ${message}`);
    expect(found).toEqual([]);
  });
}
