// The generator of docs/conformance.md on small texts. Whether the document is fresh is a tidy rule.
import { describe, expect, test } from "bun:test";
import checklist from "./checklist.json" with { type: "json" };
import { findProofs, renderTableOfProofs } from "./generate.ts";

const ids = (text: string): string[][] => findProofs({ path: "tests/unit/a.test.ts", text }).map((proof) => proof.ids);

describe("finding titles", () => {
  test("one id, several ids, several brackets", () => {
    expect(ids('test("[WF-11] pages", () => {});')).toEqual([["WF-11"]]);
    expect(ids('it("[WF-11, CRA-0.01] pages", () => {});')).toEqual([["WF-11", "CRA-0.01"]]);
    expect(ids("describe('[MEC-D1] [ART-K5] pages', () => {});")).toEqual([["MEC-D1", "ART-K5"]]);
  });

  test("tests that are made: each, conditions, names of our own, templates", () => {
    expect(ids('test.each([1])("[WF-11] %d", () => {});')).toEqual([["WF-11"]]);
    expect(ids('test.skipIf(isRoot)("[WF-12] a", () => {});')).toEqual([["WF-12"]]);
    expect(ids('rootTest("[WF-13] a", () => {});')).toEqual([["WF-13"]]);
    expect(ids("for (const a of b) test(`[WF-14] ${a}`, () => {});")).toEqual([["WF-14"]]);
  });

  test("what proves nothing: skipped tests, plans, other calls, comments, ids elsewhere", () => {
    expect(ids('test.skip("[WF-11] a", () => {}); test.todo("[WF-12] a");')).toEqual([]);
    expect(ids('log("[WF-11] a"); // test("[WF-12] a")')).toEqual([]);
    expect(ids('test("a [WF-11]", () => {}); test("[WF] a", () => {}); test(title, () => {});')).toEqual([]);
  });

  test("the line is that of the call", () => {
    expect(findProofs({ path: "a", text: '\ntest("[WF-11] a", () => {});' })[0]?.line).toBe(2);
  });
});

describe("the document", () => {
  const wanted = [
    { id: "WF-01", text: "starts | runs" },
    { id: "WF-02", text: "stops" },
  ];
  const proof = { ids: ["WF-01"], title: "", path: "tests/cli/a.test.ts", line: 1 };

  test("rows with tests link to them, rows without are open", () => {
    const text = renderTableOfProofs(wanted, [proof, proof, { ...proof, path: "tests/api/b.test.ts" }]);
    expect(text).toContain("| WF-01 | starts \\| runs | [api/b.test.ts](../tests/api/b.test.ts), [cli/a.test.ts](../tests/cli/a.test.ts) |");
    expect(text).toContain("| WF-02 | stops | **open** |");
    expect(text).toContain("## Workflow engine: 1 of 2");
  });

  test("an id that does not exist is refused with its place", () => {
    expect(() => renderTableOfProofs(wanted, [{ ...proof, ids: ["WF-99"] }])).toThrow("tests/cli/a.test.ts:1");
  });

  test("the checklist has each id once, and each has a text", () => {
    expect(new Set(checklist.map(({ id }) => id)).size).toBe(checklist.length);
    expect(checklist.filter(({ id, text }) => !/^(WF|CRA|ART|MEC)-/.test(id) || text.length === 0)).toEqual([]);
    expect(checklist.length).toBeGreaterThan(200);
  });
});
