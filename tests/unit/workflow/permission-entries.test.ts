// Single permission entries: what is well-formed, and what covers what.
import { describe, expect, test } from "bun:test";
import { coversNetwork, coversPath, findNetworkProblem, findPathProblem, isNeverCopied, narrowPermissions } from "../../../src/workflow/index.ts";

describe("permission entries", () => {
  test.each(["a:1", "api.example.com:443", "*.example.com:443", "localhost:*", "127.0.0.1:80", "10.0.0.0/8:22", "[::1]:80", "[fd00::/8]:*"])(
    "network %s",
    (entry) => {
      expect(findNetworkProblem(entry)).toBeNull();
    },
  );

  test.each(["", "a", ":1", "a:0", "a:65536", "a:http", "*:443", "*:*", "https://a:1", "a b:1", "a.*.b:1", "300.1.1.1:1", "10.0.0.0/33:1", "::1:80"])(
    "no network entry: %s",
    (entry) => {
      expect(findNetworkProblem(entry)).not.toBeNull();
    },
  );

  test("paths", () => {
    expect(findPathProblem("/a")).toEqual({ relative: false, problem: null });
    expect(findPathProblem("$workspace/a")).toEqual({ relative: false, problem: null });
    expect(findPathProblem("./a").relative).toBe(true);
    for (const wrong of ["~/a", "$home", "$workspaces/a", "a\0b"]) expect(findPathProblem(wrong).problem).not.toBeNull();
  });

  test.each([
    ["*.a.b:443", "x.a.b:443", true],
    ["*.a.b:443", "x.y.a.b:443", true],
    ["*.a.b:443", "a.b:443", false],
    ["*.a.b:443", "xa.b:443", false],
    ["*.a.b:443", "*.x.a.b:443", true],
    ["x.a.b:443", "*.a.b:443", false],
    ["a.b:*", "a.b:1", true],
    ["a.b:1", "a.b:*", false],
    ["A.b:1", "a.B:1", true],
    ["10.0.0.0/8:*", "10.1.2.3:22", true],
    ["10.0.0.0/8:*", "11.1.2.3:22", false],
    ["10.0.0.0/16:1", "10.0.0.0/8:1", false],
  ])("network %s covers %s: %p", (grant, entry, covers) => {
    expect(coversNetwork(grant, entry)).toBe(covers);
  });

  test.each([
    ["/a", "/a/b", true],
    ["/a", "/ab", false],
    ["/a/", "/a", true],
    ["/a/b", "/a", false],
    ["/", "/a", true],
    ["/", "a", false],
    ["./a", "a/b", true],
    [".", "a", true],
    [".", "/a", false],
    [".", "$workspace", false],
    ["$workspace", "$workspace/a", true],
    ["$workspace", "$workdir", false],
    ["/a", "/a/../b", false],
  ])("path %s covers %s: %p", (grant, entry, covers) => {
    expect(coversPath(grant, entry)).toBe(covers);
  });

  test("names that are never copied", () => {
    expect(["AUTOKESTRA_HOME", "WORKFLOW_X", "BUN_BE_BUN", "NODE_OPTIONS", "LD_PRELOAD", "TZ", "NODE_ENV"].filter(isNeverCopied)).toEqual([
      "AUTOKESTRA_HOME",
      "WORKFLOW_X",
      "BUN_BE_BUN",
      "NODE_OPTIONS",
      "LD_PRELOAD",
    ]);
  });

  test("a task's block keeps the narrower entry of each overlap, and never widens", () => {
    const kept = narrowPermissions(
      { network: ["api.a.b:443"], filesystem: { write: ["/data"] }, run: true },
      { network: ["*.a.b:*", "c.d:1"], filesystem: { read: ["/data/x"], write: ["/"] }, run: true },
    );
    expect(kept).toEqual({ network: ["api.a.b:443"], filesystem: { read: ["/data/x"], write: ["/data"] }, env: [], listen: [], run: true });
  });
});
