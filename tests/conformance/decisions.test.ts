// Deliverables that are met by a decision: each is found by its id in a file that has the form of a decision.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import checklist from "./checklist.json" with { type: "json" };

const folder = join(import.meta.dir, "../../docs/decisions");
const decisions = readdirSync(folder)
  .filter((name) => name !== "README.md")
  .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }));

/** The decision that settles an id, by its `Settles:` line. */
function findDecision(id: string): string | null {
  return decisions.find(({ text }) => settledBy(text).includes(id))?.text ?? null;
}

function settledBy(text: string): string[] {
  return /^Settles: (.+)$/m.exec(text)?.[1]?.split(", ") ?? [];
}

/** Words of each section, by heading. */
function sectionsOf(text: string): Map<string, number> {
  const parts = text.split(/^## /m).slice(1);
  return new Map(parts.map((part) => [part.split("\n")[0] ?? "", part.split(/\s+/).length]));
}

function expectDecided(id: string): void {
  const text = findDecision(id);
  expect([id, text === null]).toEqual([id, false]);
  expect([...sectionsOf(text ?? "").keys()]).toEqual(["Context", "Decision", "Consequences"]);
}

test("[CRA-X08] the test runner is decided: bun:test", () => {
  expectDecided("CRA-X08");
  expect(findDecision("CRA-X08")).toContain("bun:test");
});

test("[CRA-X09] dependency management and packaging are decided: a locked tree and one binary", () => {
  expectDecided("CRA-X09");
  expect(findDecision("CRA-X09")).toContain("package-lock.json");
});

test("[CRA-Q01] the production store of traces is decided: SQLite now, PostgreSQL behind the same ports", () => {
  expectDecided("CRA-Q01");
  for (const option of ["SQLite", "PostgreSQL", "ClickHouse", "S3"]) expect(findDecision("CRA-Q01")).toContain(option);
});

test("[CRA-Q02] authentication is decided: API keys now, and why neither JWT nor OIDC", () => {
  expectDecided("CRA-Q02");
  for (const option of ["API keys", "JWT", "OAuth2", "OIDC"]) expect(findDecision("CRA-Q02")).toContain(option);
});

test("[CRA-Q03] tenancy is decided: one store per tenant", () => {
  expectDecided("CRA-Q03");
  expect(findDecision("CRA-Q03")).toContain("One store per tenant");
});

describe("the form of decisions", () => {
  test("names are numbered without gaps", () => {
    const numbers = decisions.map(({ name }) => /^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1]).toSorted();
    expect(numbers).toEqual(numbers.map((_, index) => String(index + 1).padStart(4, "0")));
  });

  test("each has a title, the three sections with something in them, and ids that exist", () => {
    const known = new Set([...checklist.map(({ id }) => id), "none"]);
    for (const { name, text } of decisions) {
      expect([name, /^# \S/.test(text)]).toEqual([name, true]);
      const sections = sectionsOf(text);
      expect([name, ...sections.keys()]).toEqual([name, "Context", "Decision", "Consequences"]);
      expect([name, [...sections.values()].every((words) => words > 20)]).toEqual([name, true]);
      expect([name, settledBy(text).length > 0, settledBy(text).filter((id) => !known.has(id))]).toEqual([name, true, []]);
    }
  });

  test("every dependency has its line, with every column filled", () => {
    const text = readFileSync(join(folder, "0001-dependencies.md"), "utf8");
    const rows = text
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    const listed = rows.map(([name]) => name?.replaceAll("`", "")).filter((name) => name !== "bun:sqlite");
    expect(listed.toSorted()).toEqual(Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).toSorted());
    expect(rows.filter((cells) => cells.length !== 5 || cells.includes(""))).toEqual([]);
  });
});
