// What a script says about itself, and the folders it stands in: parsing, and reading back what it may have planted.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOutputFile, parseResultFrame as parseFrame } from "../../../src/plugins/invoke/script-output.ts";
import { placeBelow } from "../../../src/plugins/invoke/open-below.ts";
import { readBack } from "../../../src/plugins/invoke/read-back.ts";
import { Workspaces } from "../../../src/plugins/invoke/workspace.ts";
import { Masker } from "../../../src/secrets/index.ts";

const parseResultFrame = (text: string) => parseFrame(text, new Masker());
const code = (name: string) => expect.objectContaining({ code: name });

describe("$WORKFLOW_OUTPUT", () => {
  test("takes key=value lines as text, and JSON objects", () => {
    expect(parseOutputFile('a=1\nb = x=y \r\n\n  \n{"c":[1],"a":2}\nd=')).toEqual({ a: 2, b: " x=y ", c: [1], d: "" });
  });

  test("names the line that is neither", () => {
    for (const [text, line] of [
      ["a=1\nnope", 2],
      ["=x", 1],
      ["\n{broken", 2],
      ["{}\n{}\n[1]", 3],
      ["{1}", 1],
    ] as const)
      expect(() => parseOutputFile(text)).toThrow(expect.objectContaining({ code: "PLUGIN_OUTPUT_INVALID", details: { line } }));
  });

  test("does not take the place of what the engine says", () => {
    for (const [text, line] of [
      ["a=1\nexitCode=0", 2],
      ['{"a":1,"stdout":"x"}', 1],
    ] as const)
      expect(() => parseOutputFile(text)).toThrow(expect.objectContaining({ code: "PLUGIN_OUTPUT_INVALID", details: { line } }));
  });

  test("a member named __proto__ is data", () => {
    for (const text of ["__proto__=x", '{"__proto__":"x"}']) {
      const out = parseOutputFile(text);
      expect(Object.keys(out)).toEqual(["__proto__"]);
      expect(Object.getPrototypeOf(out)).toBe(Object.prototype);
    }
  });
});

describe("a result frame", () => {
  test("gives an output or an error", () => {
    expect(parseResultFrame('{"output":{"a":1}}')).toEqual({ output: { a: 1 } });
    expect(parseResultFrame('{"output":null}')).toEqual({ output: {} });
    expect(parseResultFrame('{"artifacts":["a"]}')).toEqual({ output: {}, artifacts: ["a"] });
    const error = { code: "NO_LUCK", kind: "failed", message: "m", details: { x: 1 } };
    expect(parseResultFrame('{"error":{"code":"NO_LUCK","message":"m","details":{"x":1},"retryable":true}}')).toEqual({
      error,
      retryable: true,
    } as never);
  });

  test("is refused when it is neither", () => {
    for (const text of ["", "x", "[]", "null", "{}", '{"other":1}', '{"error":1}', '{"error":{"code":1,"message":"m"}}', '{"error":{"code":"A"}}'])
      expect(() => parseResultFrame(text)).toThrow(code("PLUGIN_OUTPUT_INVALID"));
  });
});

describe("folders", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "autokestra-workspace-"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test("each attempt has a fresh one of its own, private, and all leave with the execution", () => {
    const workspaces = new Workspaces(root);
    const first = workspaces.open("e", { task: "t", itemIndex: null, attempt: 1 });
    const second = workspaces.open("e", { task: "t", itemIndex: null, attempt: 2 });
    expect(first.workspace).toBe(second.workspace);
    expect(first.workdir).not.toBe(second.workdir);
    for (const folder of [first.workspace, first.workdir]) expect(statSync(folder).mode & 0o777).toBe(0o700);
    writeFileSync(join(first.workdir, "left"), "x");
    expect(existsSync(join(workspaces.open("e", { task: "t", itemIndex: null, attempt: 1 }).workdir, "left"))).toBe(false);
    workspaces.closeAttempt(first);
    expect([existsSync(first.workdir), existsSync(second.workdir)]).toEqual([false, true]);
    workspaces.close("e");
    expect(existsSync(first.workspace)).toBe(false);
  });

  test("removing them follows no link", () => {
    const workspaces = new Workspaces(join(root, "work"));
    const { workdir } = workspaces.open("e", { task: "t", itemIndex: null, attempt: 1 });
    mkdirSync(join(root, "precious"));
    writeFileSync(join(root, "precious", "file"), "x");
    symlinkSync(join(root, "precious"), join(workdir, "link"));
    mkdirSync(join(workdir, "shut"));
    chmodSync(join(workdir, "shut"), 0o000);
    workspaces.close("e");
    expect(readFileSync(join(root, "precious", "file"), "utf8")).toBe("x");
    expect(existsSync(workdir)).toBe(false);
  });

  test("one that is to be kept is not among those that may be swept", () => {
    const workspaces = new Workspaces(root);
    workspaces.open("swept", { task: "t", itemIndex: null, attempt: 1 });
    workspaces.keep("kept");
    workspaces.open("kept", { task: "t", itemIndex: null, attempt: 1 });
    expect(workspaces.list()).toEqual(["swept"]);
    expect(new Workspaces(join(root, "none")).list()).toEqual([]);
  });

  test("a workdir stays below the workspace", () => {
    for (const inside of ["a", "a/b/c", "./a", "a/../b", "..a", "."]) {
      const place = placeBelow(root, inside);
      expect(`${place}/`.startsWith(`${root}/`)).toBe(true);
      expect(statSync(place).isDirectory()).toBe(true);
    }
    for (const outside of ["..", "../x", "a/../../x", "/", "/etc", root]) expect(() => placeBelow(root, outside)).toThrow(code("TASK_INPUT_INVALID"));
    expect(placeBelow(root, null)).toBe(root);
  });

  test("a workdir leads out through no link, and makes nothing where one leads", () => {
    symlinkSync(tmpdir(), join(root, "out"));
    symlinkSync("loop", join(root, "loop"));
    symlinkSync("missing", join(root, "nowhere"));
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "within"));
    for (const path of ["out", "out/autokestra-planted", "loop", "nowhere", "nowhere/x"])
      expect(() => placeBelow(root, path)).toThrow(code("TASK_INPUT_INVALID"));
    expect(existsSync(join(tmpdir(), "autokestra-planted"))).toBe(false);
    expect(placeBelow(root, "within/deeper")).toBe(join(root, "real", "deeper"));
  });

  test("only a plain file of bounded size is read back", () => {
    writeFileSync(join(root, "file"), "four");
    writeFileSync(join(root, "empty"), "");
    symlinkSync("file", join(root, "link"));
    mkdirSync(join(root, "folder"));
    symlinkSync(root, join(root, "self"));
    const read = (name: string, bytesMax = 4, folder = root) => readBack(folder, { name, as: "$WORKFLOW_OUTPUT" }, bytesMax);
    expect(Buffer.from(read("file") ?? []).toString()).toBe("four");
    for (const name of ["empty", "missing"]) expect(read(name)).toBeNull();
    expect(read("file", 4, join(root, "gone"))).toBeNull();
    for (const name of ["link", "folder"]) expect(() => read(name)).toThrow(code("PLUGIN_OUTPUT_INVALID"));
    expect(() => read("file", 4, join(root, "self"))).toThrow(code("PLUGIN_OUTPUT_INVALID"));
    expect(() => read("file", 3)).toThrow(code("PLUGIN_OUTPUT_INVALID"));
  });

  test("a workspace that is no longer the one that was made is refused, and nothing is made where it leads", () => {
    const workspaces = new Workspaces(join(root, "work"));
    const open = (attempt: number, of = workspaces) => of.open("e", { task: "t", itemIndex: null, attempt });
    const { workspace } = open(1);
    open(2);
    mkdirSync(join(root, "elsewhere"));
    const plant: [string, () => void][] = [
      ["link", () => symlinkSync(join(root, "elsewhere"), workspace)],
      ["file", () => writeFileSync(workspace, "x")],
      // Moved in, so that it cannot get the number of the folder that was there.
      ["folder", () => renameSync(join(root, "elsewhere"), workspace)],
    ];
    renameSync(workspace, join(root, "kept"));
    for (const [what, put] of plant) {
      put();
      expect(() => open(3)).toThrow(code("TASK_INPUT_INVALID"));
      // A process that did not make it can only tell a folder from what is none.
      if (what === "folder") expect(open(3, new Workspaces(join(root, "work"))).workspace).toBe(workspace);
      else expect(() => open(3, new Workspaces(join(root, "work")))).toThrow(code("TASK_INPUT_INVALID"));
      rmSync(workspace, { recursive: true });
    }
    expect(statSync(open(4).workspace).isDirectory()).toBe(true);
    expect(open(5).workspace).toBe(workspace);
  });

  test("the folders around a workspace are not replaced either", () => {
    for (const inner of ["", "attempts"]) {
      const id = `e${inner}`;
      const workspaces = new Workspaces(join(root, "work"));
      workspaces.open(id, { task: "t", itemIndex: null, attempt: 1 });
      const folder = join(root, "work", id, inner);
      renameSync(folder, join(root, `moved-${id}`));
      symlinkSync(join(root, `moved-${id}`), folder);
      expect(() => workspaces.open(id, { task: "t", itemIndex: null, attempt: 2 })).toThrow(code("TASK_INPUT_INVALID"));
    }
  });
});
