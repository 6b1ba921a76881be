// Where bare paths of built-ins start, and what the built-ins then ask for.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../../src/base/index.ts";
import { type BareFolder, bareFolderOf, type BareGrants, findCoreAction, type RunGrants } from "../../../src/model/index.ts";

const asksOf =
  (action: string, inputs: JsonObject) =>
  (bare: BareFolder): object =>
    findCoreAction(action)?.asks?.(inputs, bare) ?? {};
const copy = asksOf("core/file.copy", { from: "$workspace/a", to: "b" });
const read = asksOf("core/file.read", { path: "a/b" });
const all: RunGrants = { network: [], filesystem: { read: [], write: [] }, env: [], all: true };

test("in the workspace when anything in it is granted, else in the workflow's folder", () => {
  const where = (grants: Partial<BareGrants>, asks = read) => bareFolderOf(asks, { workflow: {}, folder: "/flow", ...grants });
  expect(where({})).toBe(".");
  expect(where({ workflow: { filesystem: { write: ["./out", "/tmp"] } } })).toBe(".");
  expect(where({ workflow: { filesystem: { write: ["$workspace/sub"] } } })).toBe("$workspace");
  expect(where({ workflow: { filesystem: { read: ["$workspace"] } } })).toBe("$workspace");
  expect(where({ workflow: { filesystem: { read: ["$workspaces", "$workdir"] } } })).toBe(".");
  expect(where({ allow: { ...all, all: false, filesystem: { read: ["$workspace"], write: [] } } })).toBe("$workspace");
  // Where no folder is known nothing lies in it.
  expect(where({ folder: null })).toBe("$workspace");
  // With everything granted a task has a workspace exactly when it names it.
  expect(where({ allow: all })).toBe(".");
  expect(where({ allow: all }, copy)).toBe("$workspace");
});

test("entries follow; what spells its place stays", () => {
  expect(read(".")).toEqual({ filesystem: { read: ["./a/b"] } });
  expect(read("$workspace")).toEqual({ filesystem: { read: ["$workspace/a/b"] } });
  expect(copy(".")).toEqual({ filesystem: { read: ["$workspace/a"], write: ["./b"] } });
  expect(asksOf("core/file.list", {})(".")).toEqual({ filesystem: { read: ["."] } });
  expect(asksOf("core/file.glob", { patterns: "*" })("$workspace")).toEqual({ filesystem: { read: ["$workspace"] } });
  for (const url of ["sqlite:x.db", "x.db"]) expect(asksOf("core/sql.query", { url })(".")).toEqual({ filesystem: { write: ["."] } });
  expect(asksOf("core/sql.query", { url: "./data/x.db", readOnly: true })(".")).toEqual({ filesystem: { read: ["./data"] } });
  expect(asksOf("core/sql.query", { url: ":memory:" })(".")).toEqual({});
  expect(asksOf("core/git.clone", { url: "./a/b.git" })(".")).toEqual({
    run: true,
    network: [],
    filesystem: { read: ["./a/b.git"], write: ["./b"] },
  });
  for (const action of ["core/csv.read", "core/archive.extract", "core/git.diff", "core/json.transform", "core/http.request"]) {
    const inputs = { path: "in", file: "in", to: "in", url: "http://a.b/" };
    expect([action, JSON.stringify(asksOf(action, inputs)("."))]).toEqual([action, expect.stringContaining('"./in"')]);
    expect([action, JSON.stringify(asksOf(action, inputs)("."))]).not.toEqual([action, expect.stringContaining("$workspace")]);
  }
});
