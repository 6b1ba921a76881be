// Single permission entries: what is well-formed, and what covers what.
import { describe, expect, test } from "bun:test";
import { coversNetwork, coversPath, findNetworkProblem, findPathProblem, isNeverCopied, meetNetwork } from "../../../src/model/index.ts";

describe("permission entries", () => {
  test.each([
    "a:1",
    "api.example.com:443",
    "*.example.com:443",
    "localhost:*",
    "127.0.0.1:80",
    "10.0.0.0/8:22",
    "[::1]:80",
    "[fd00::/8]:*",
    "[::ffff:10.0.0.1]:80",
    "a.b.:443",
  ])("network %s", (entry) => {
    expect(findNetworkProblem(entry)).toBeNull();
  });

  test.each([
    "",
    "a",
    ":1",
    "a:0",
    "a:080",
    "a:65536",
    "a:http",
    "*:443",
    "*:*",
    "https://a:1",
    "a b:1",
    "a.*.b:1",
    "a..b:1",
    "*.10.0.0.1:1",
    "300.1.1.1:1",
    "127.1:1",
    "0x7f.1:1",
    "0177.0.0.1:1",
    "2130706433:1",
    "10.0.0.0/33:1",
    "10.0.0.0/08:1",
    "::1:80",
    "[:::1]:80",
    "[::1%lo]:80",
    "[::1/129]:80",
    "[::ffff:10.0.0.0/104]:80",
    "[10.0.0.1]:80",
    `${"a.".repeat(127)}a:1`,
  ])("no network entry: %s", (entry) => {
    expect(findNetworkProblem(entry)).not.toBeNull();
  });

  test("paths", () => {
    expect(findPathProblem("/a")).toEqual({ relative: false, problem: null });
    expect(findPathProblem("$workspace/a")).toEqual({ relative: false, problem: null });
    expect(findPathProblem("./a").relative).toBe(true);
    for (const up of ["..", "../..", "../a", "./../a", ".", "./"]) expect(findPathProblem(up)).toEqual({ relative: true, problem: null });
    const leaving = ["$workspace/../x", "$workdir/a/../b", "/a/../b", "./a/../b", "../a/.."];
    for (const wrong of ["~/a", "$home", "$workspaces/a", "a\0b", ...leaving]) expect(findPathProblem(wrong).problem).not.toBeNull();
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
    ["0.0.0.0/0:*", "1.2.3.4:5", true],
    ["10.0.0.0/8:*", "[::ffff:10.1.2.3]:22", true],
    ["10.0.0.0/8:*", "10.0.0.1.example.com:22", false],
    ["[::1]:80", "[0:0:0:0:0:0:0:1]:80", true],
    ["[FD00::/8]:*", "[fd12::1]:22", true],
    ["[fd00::/8]:*", "[fe80::1]:22", false],
    ["[::/0]:*", "10.0.0.1:22", false],
    ["[fd00::/16]:1", "[fd00::/8]:1", false],
    ["127.0.0.1:80", "127.1:80", false],
    ["127.0.0.1:80", "0x7f.0.0.1:80", false],
    ["localhost:80", "127.0.0.1:80", false],
    ["a.b.:443", "a.b:443", true],
    ["a.b:443", "A.B.:443", true],
    ["*.a.b:443", ".a.b:443", false],
    ["*.a.b:443", "x y.a.b:443", false],
    ["*.a.b:443", "a@x.a.b:443", false],
    ["*.b:443", "*.a.b:443", true],
    ["a.b:80", "a.b:8080", false],
    ["a.b:80", "a.b:", false],
    ["*:*", "a.b:1", true],
    ["a.b:1", "*:*", false],
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
    ["/a/b", "/a/bc", false],
    ["/a//b/", "/a/./b/c", true],
    ["$workspace", "$workspace/../x", false],
    ["$workspace", "$workspacex", false],
    ["$workspace", "workspace", false],
    ["/", "$workspace", false],
    [".", "../a", false],
    ["..", "../../a", false],
    ["..", "../a", true],
    ["./a", "a/../../b", false],
  ])("path %s covers %s: %p", (grant, entry, covers) => {
    expect(coversPath(grant, entry)).toBe(covers);
  });

  test.each([
    ["*.a.b:443", "x.a.b:*", "x.a.b:443"],
    ["10.0.0.0/8:22", "10.1.0.0/16:*", "10.1.0.0/16:22"],
    ["a.b:1", "a.b:*", "a.b:1"],
    ["a.b:1", "a.b:2", null],
    ["*.a.b:1", "*.c.d:1", null],
    ["nonsense", "a.b:1", null],
  ])("network %s and %s have %p in common", (a, b, common) => {
    expect([meetNetwork(a, b), meetNetwork(b, a)]).toEqual([common, common]);
  });

  test("with the workflow's folder, relative and absolute entries compare", () => {
    const covered = (grant: string, entry: string) => coversPath(grant, entry, "/w/f");
    expect(covered("./data", "/w/f/data/x")).toBe(true);
    expect(covered("/w/f/data", "./data/x")).toBe(true);
    expect(covered("../other", "/w/other/x")).toBe(true);
    expect(covered("/", "./data")).toBe(true);
    expect(covered("./data", "/w/data")).toBe(false);
    expect(covered(".", "../x")).toBe(false);
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
});
