// Discovery, the hash of a tree, and what an upgrade asks for beyond its approval.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { approvalProblem, copyTree, hashTree, PluginRegistry } from "../../../src/plugins/index.ts";
import { findSchemaProblem, parseWorkflow } from "../../../src/workflow/index.ts";

let root: string;
let now: number;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "registry-"));
  now = 1_000_000;
});
afterEach(() => rmSync(root, { recursive: true }));

const registryOf = (...paths: string[]) =>
  new PluginRegistry({ paths: paths.map((path) => join(root, path)), version: "0.1.0", clock: { now: () => now }, findSchemaProblem });

function putPlugin(path: string, id: string, more = ""): string {
  const [namespace = "", name = ""] = id.split("/");
  const folder = join(root, path, namespace, name);
  mkdirSync(folder, { recursive: true });
  const manifest = `namespace: ${namespace}\nname: ${name}\nversion: 1.0.0\nruntime: bun\nentrypoint: main.ts\npermissions: { network: ["a.b:1"], memoryMb: 128 }\n`;
  writeFileSync(join(folder, "plugin.yaml"), `${manifest}actions:\n  - name: build\n    idempotent: true\n    timeout: 1s\n${more}`);
  writeFileSync(join(folder, "main.ts"), "// one");
  return folder;
}

describe("the registry", () => {
  test("finds an action with its plugin, folder and hash, and asks for what the manifest says", () => {
    const folder = putPlugin("one", "acme/report", "    permissions: { run: false }\n");
    const found = registryOf("one").find("acme/report.build");
    expect(found).toMatchObject({ action: "acme/report.build", idempotent: true, timeoutMs: 1000 });
    expect(found?.plugin).toMatchObject({ folder, sha256: hashTree(folder) });
    // Its own block names no network, so it has none; the limit stays.
    expect(found?.asks({})).toEqual({ run: false, memoryMb: 128 });
  });

  test("reads nothing before it is asked, and a path that is not there holds nothing", () => {
    const registry = registryOf("one", "missing");
    putPlugin("one", "acme/late");
    expect(registry.find("acme/late.build")).not.toBeNull();
    expect(registry.find("acme/late.other")).toBeNull();
    expect(registry.find("acme/none.build")).toBeNull();
    expect(registry.find("../one/acme/late.build")).toBeNull();
  });

  test("the first path wins, even with a broken plugin, which harms no other", () => {
    writeFileSync(join(putPlugin("one", "acme/report"), "plugin.yaml"), "name: [");
    putPlugin("two", "acme/report");
    putPlugin("two", "acme/other");
    const registry = registryOf("one", "two");
    expect(registry.find("acme/report.build")).toBeNull();
    expect(registry.find("acme/other.build")).not.toBeNull();
    expect(registry.list().map(({ namespace, name, plugin, diagnostics }) => [namespace, name, plugin === null, diagnostics.length])).toEqual([
      ["acme", "other", false, 0],
      ["acme", "report", true, 1],
    ]);
  });

  test("an edit is seen: of the manifest, and of any file of the tree", () => {
    const folder = putPlugin("one", "acme/report");
    const registry = registryOf("one");
    const before = registry.find("acme/report.build")?.plugin?.sha256;
    expect(registry.find("acme/report.build")?.plugin?.sha256).toBe(before ?? "");
    const { mtime } = statSync(join(folder, "main.ts"));
    writeFileSync(join(folder, "main.ts"), "// two");
    // Same size and same time: the change of the inode still shows.
    utimesSync(join(folder, "main.ts"), mtime, mtime);
    const after = registry.find("acme/report.build")?.plugin?.sha256;
    expect(after).not.toBe(before ?? "");
    expect(after).toBe(hashTree(folder));
    writeFileSync(join(folder, "plugin.yaml"), readFileSync(join(folder, "plugin.yaml"), "utf8").replace("name: build", "name: make"));
    expect(registry.find("acme/report.build")).toBeNull();
    expect(registry.find("acme/report.make")).not.toBeNull();
    renameSync(folder, join(root, "gone"));
    expect(registry.find("acme/report.make")).toBeNull();
  });

  test("a large tree is looked at once a second", () => {
    const folder = putPlugin("one", "acme/large");
    for (let count = 0; count < 400; count += 1) writeFileSync(join(folder, `f${count}`), "");
    const registry = registryOf("one");
    const hash = () => registry.find("acme/large.build")?.plugin?.sha256;
    const before = hash();
    writeFileSync(join(folder, "f1"), "changed");
    expect(hash()).toBe(before ?? "");
    now += 1001;
    expect(hash()).toBe(hashTree(folder));
  });

  test("built-ins are found, those that this version cannot run are described only", () => {
    const registry = registryOf();
    expect(registry.find("core/shell.run")?.plugin).toBeNull();
    expect(registry.find("core/shell.run")?.asks({})).toBe("everything");
    expect(registry.find("core/value.set")?.asks({})).toEqual({});
    expect(registry.find("core/approval.request")).toBeNull();
    expect(registry.describe("core/approval.request")).not.toBeNull();
    expect(
      registry
        .builtIns()
        .get("core/wait")
        ?.map(({ action }) => action),
    ).toEqual(["core/wait.for"]);
  });

  test("a workflow's literal inputs are held against an installed plugin's schema; `files` is always taken", () => {
    putPlugin("one", "acme/report", "    input: { type: object, properties: { n: { type: integer } }, additionalProperties: false }\n");
    const registry = registryOf("one");
    const check = (task: string) =>
      parseWorkflow(`id: x\ntasks:\n  - { id: a, ${task} }\n`, {
        file: "x.yaml",
        hasFolder: false,
        findAction: (name) => registry.describe(name),
        findProblem: (name) => registry.problemOf(name),
        availability: true,
      }).diagnostics.map(({ severity, code }) => `${severity} ${code}`);
    expect(check("type: acme/report.build, inputs: { n: 1, files: { a: 'artifact:x' } }")).toEqual([]);
    expect(check("type: acme/report.build, inputs: { n: one }")).toEqual(["error INPUT_MISMATCH"]);
    expect(check("type: acme/none.build")).toEqual(["warning UNKNOWN_ACTION"]);
    expect(check("type: acme/report.bild")).toEqual(["error UNKNOWN_ACTION"]);
    expect(registry.problemOf("acme/report.bild")).toEqual({ kind: "no-such-action", known: ["acme/report.build"] });
    expect(registry.problemOf("acme/none.build")).toEqual({ kind: "not-installed", known: ["acme/report.build"] });
    expect([registry.problemOf("acme/report.build"), registry.problemOf("core/x.y")]).toEqual([null, null]);
  });
});

describe("a tree's hash", () => {
  const tree = (name: string) => {
    const folder = join(root, name);
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "a"), "1");
    writeFileSync(join(folder, "sub/b"), "2");
    symlinkSync("../a", join(folder, "sub/link"));
    return folder;
  };

  test("is of paths, contents, the executable bit and links' texts, and nothing else", () => {
    const folder = tree("t");
    const first = hashTree(folder);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(hashTree(tree("same"))).toBe(first);
    const changed = (change: () => void, undo: () => void) => {
      change();
      const other = hashTree(folder);
      undo();
      expect(hashTree(folder)).toBe(first);
      return other;
    };
    const a = join(folder, "a");
    const others = [
      changed(
        () => writeFileSync(a, "x"),
        () => writeFileSync(a, "1"),
      ),
      changed(
        () => chmodSync(a, 0o755),
        () => chmodSync(a, 0o644),
      ),
      changed(
        () => {
          renameSync(a, `${a}2`);
          symlinkSync("a2", a);
        },
        () => {
          rmSync(a);
          renameSync(`${a}2`, a);
        },
      ),
      changed(
        () => writeFileSync(join(folder, "new"), ""),
        () => rmSync(join(folder, "new")),
      ),
    ];
    expect(new Set([first, ...others]).size).toBe(5);
    chmodSync(a, 0o600);
    expect(hashTree(folder)).toBe(first);
  });

  test.each(["/etc/passwd", "../../x", "missing", "../.."])("a link to %s is refused", (target) => {
    const folder = tree("t");
    symlinkSync(target, join(folder, "sub/out"));
    expect(() => hashTree(folder)).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
    expect(() => copyTree(folder, join(root, "copy"))).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
  });

  test("what is no file is refused", () => {
    const folder = tree("t");
    expect(Bun.spawnSync(["mkfifo", join(folder, "pipe")]).exitCode).toBe(0);
    expect(() => hashTree(folder)).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
  });

  test("a copy has the same hash, readable whatever the umask is", () => {
    const folder = tree("t");
    chmodSync(join(folder, "a"), 0o700);
    const before = process.umask(0o077);
    try {
      copyTree(folder, join(root, "copy"));
    } finally {
      process.umask(before);
    }
    expect(hashTree(join(root, "copy"))).toBe(hashTree(folder));
    const modes = ["", "sub", "a", "sub/b"].map((path) => statSync(join(root, "copy", path)).mode & 0o777);
    expect(modes).toEqual([0o755, 0o755, 0o755, 0o644]);
    expect(existsSync(join(root, "copy/sub/link"))).toBe(true);
  });
});

describe("an approval", () => {
  const approved = { permissions: { network: ["*.example.com:443"], filesystem: { write: ["$workspace"] } } };

  test("covers what it names, in whole and in part", () => {
    expect(approvalProblem({ network: ["a.example.com:443"], filesystem: { read: ["$workspace/x"] }, memoryMb: 9999 }, approved)).toEqual([]);
    expect(approvalProblem({}, null)).toEqual([]);
  });

  test("what goes beyond it is named as the line that grants it", () => {
    const asks = { network: ["other.org:443"], filesystem: { read: ["/etc"] }, env: ["TZ"], run: true, listen: [80] };
    expect(approvalProblem(asks, approved)).toEqual([
      'network: ["other.org:443"]',
      'filesystem: { read: ["/etc"] }',
      "env: [TZ]",
      "run: true",
      "listen: [80]",
    ]);
    expect(approvalProblem({ run: true }, null)).toEqual(["run: true"]);
  });
});
