// What is granted and is not as it was spelled: paths that are yet to be made, links that a task planted, limits of a shared workspace.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, existsSync, lchownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CallableAction } from "../../src/model/index.ts";
import { ownUser } from "../../src/plugins/invoke/task-user.ts";
import { measureFolders } from "../../src/plugins/runtimes/index.ts";
import { errorOf, granting, InvokeWorld, outputOf, script } from "./invoke-world.ts";

let world: InvokeWorld;
let folder = "";
let count = 0;
beforeAll(() => {
  world = new InvokeWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  count += 1;
  folder = world.write(`flow-${count}`, { beside: "beside" });
});

const isRoot = process.getuid?.() === 0;
const writing = (...write: string[]) => ({ folder, ...granting({ filesystem: { read: [], write } }) });
const warnings = (lines: { level: string; metadata: unknown }[]) =>
  lines.filter(({ level }) => level === "WARN").map(({ metadata }) => (metadata as { entry: string }).entry);

/** A built-in by its name, as the tree of this checkout has it. */
const builtIn = (action: string): CallableAction => ({ ...script, action, asks: () => ({}) });

describe("a granted write path that does not exist", () => {
  test("[WF-14] is made as the file that it names, and nothing beside it is opened", async () => {
    const done = await world.sh('echo x > "$WORKFLOW_DIR/report.html"; echo y > "$WORKFLOW_DIR/beside"', writing("./report.html"));
    expect(errorOf(done).code).toBe("PERMISSION_DENIED");
    expect(done.denials).toMatchObject([{ target: join(folder, "beside"), rule: "filesystem.write" }]);
    expect(readFileSync(join(folder, "report.html"), "utf8")).toBe("x\n");
    expect(readFileSync(join(folder, "beside"), "utf8")).toBe("beside");
    expect(warnings(done.lines)).toEqual([]);
  });

  test("is a folder when it ends with a slash or its name has no dot", async () => {
    const text = 'cd "$WORKFLOW_DIR"; echo 1 > out/a; echo 2 > v1.d/b; ls -d out v1.d';
    expect(outputOf(await world.sh(text, writing("./out", "./v1.d/")))).toMatchObject({ stdout: "out\nv1.d" });
    expect(readFileSync(join(folder, "out/a"), "utf8")).toBe("1\n");
  });

  test("is gone again when nobody touched it, and stays when somebody did", async () => {
    await world.sh('cat "$WORKFLOW_DIR/untouched.txt"; touch "$WORKFLOW_DIR/touched.txt"', writing("./untouched.txt", "./touched.txt", "./folder"));
    expect(readdirSync(folder).toSorted()).toEqual(["beside", "touched.txt"]);
  });

  test("is given nothing where its folder is missing too, unless that is granted itself", async () => {
    const left = await world.sh("true", writing("./a/b/c.txt"));
    expect(warnings(left.lines)).toEqual(["./a/b/c.txt"]);
    expect(existsSync(join(folder, "a"))).toBe(false);
    const given = await world.sh('echo x > "$WORKFLOW_DIR/a/b/c.txt"', { ...writing("./a/b/c.txt"), granted: { read: [], write: ["."] } });
    outputOf(given);
    expect(readFileSync(join(folder, "a/b/c.txt"), "utf8")).toBe("x\n");
    await world.sh("true", { ...writing("./d/e/f"), granted: { read: [], write: ["."] } });
    expect(existsSync(join(folder, "d"))).toBe(false);
  });

  test("no link leads elsewhere: neither one that leads nowhere, nor one on the way below a grant", async () => {
    const outside = world.write(`outside-${count}`, { a: "a" });
    symlinkSync(join(outside, "new.txt"), join(folder, "dangling.txt"));
    symlinkSync(outside, join(folder, "way"));
    const done = await world.sh("true", { ...writing("./dangling.txt", "./way/new.txt"), granted: { read: [], write: ["."] } });
    expect(warnings(done.lines).toSorted()).toEqual(["./dangling.txt", "./way/new.txt"]);
    expect(readdirSync(outside)).toEqual(["a"]);
  });

  test("two attempts at once share what is made, and the last one removes it", async () => {
    const inputs = { script: 'read x < "$WORKSPACE/go"; echo late > "$WORKFLOW_DIR/shared.txt"' };
    const slow = world.start(script, inputs, writing("./shared.txt"));
    const pipe = join(slow.call.folders.workspace, "go");
    Bun.spawnSync(["mkfifo", "-m", "666", pipe]);
    // It was made before the second begins.
    for (const until = Date.now() + 5000; !existsSync(join(folder, "shared.txt")) && Date.now() < until; ) await Bun.sleep(5);
    outputOf(await world.sh("true", writing("./shared.txt")));
    expect(existsSync(join(folder, "shared.txt"))).toBe(true);
    await Bun.write(pipe, "\n");
    outputOf(await slow.finish());
    expect(readFileSync(join(folder, "shared.txt"), "utf8")).toBe("late\n");
  });

  // Only root can give files to other users, and mount.
  test.skipIf(!isRoot)("belongs to the task's user (needs root: other users)", async () => {
    const executionId = crypto.randomUUID();
    const choice = { canOwnUser: true, granted: { read: [], write: [] }, folder: null, plugins: [] };
    const folders = world.workspaces.open(executionId, { task: "t", itemIndex: null, attempt: 1 }, choice);
    const done = await world.sh('echo x > "$WORKFLOW_DIR/own.txt"', { executionId, folders, ...writing("./own.txt") });
    outputOf(done);
    expect(lstatSync(join(folder, "own.txt")).uid).toBe(folders.user?.uid ?? -1);
  });

  // Only root can give files to other users, and mount.
  test.skipIf(!isRoot)("in a folder of the engine's user keeps its execution that user (needs root: other users)", () => {
    const open = (write: string[]) => {
      const choice = { canOwnUser: true, granted: { read: [], write }, folder, plugins: [] };
      return world.workspaces.open(crypto.randomUUID(), { task: "t", itemIndex: null, attempt: 1 }, choice).user;
    };
    expect(open(["./new.txt"])).toBeNull();
    expect(open([])).not.toBeNull();
  });

  test("core/file.write makes its file where only that is granted, also as one without a dot, and keeps to overwrite: false", async () => {
    const write = builtIn("core/file.write");
    const inputs = { path: "./LICENSE", content: "text", overwrite: false };
    outputOf(await world.call(write, inputs, writing("./LICENSE")));
    expect(readFileSync(join(folder, "LICENSE"), "utf8")).toBe("text");
    expect(readdirSync(folder).toSorted()).toEqual(["LICENSE", "beside"]);
    expect((await world.call(write, inputs, writing("./LICENSE"))).outcome.ok).toBe(false);
  });

  test("core/file.copy and core/file.move make what their source is", async () => {
    mkdirSync(join(folder, "from"));
    writeFileSync(join(folder, "from/x"), "x");
    const copy = builtIn("core/file.copy");
    const both = (write: string[]) => ({ folder, ...granting({ filesystem: { read: ["."], write } }) });
    outputOf(await world.call(copy, { from: "./from", to: "./v1.2" }, both(["./v1.2"])));
    outputOf(await world.call(copy, { from: "./beside", to: "./copy" }, both(["./copy"])));
    expect(readFileSync(join(folder, "v1.2/x"), "utf8")).toBe("x");
    expect(readFileSync(join(folder, "copy"), "utf8")).toBe("beside");
  });

  test("core/script.run gets no more than the file that it was granted", async () => {
    const code =
      "import os\ntry:\n  open(os.environ['WORKFLOW_DIR'] + '/beside', 'w')\nexcept OSError as e:\n  print(e.errno)\nopen(os.environ['WORKFLOW_DIR'] + '/out.txt', 'w').write('x')";
    const action = { ...builtIn("core/script.run"), asks: () => "everything" as const };
    const granted = { folder, ...granting({ run: true, filesystem: { read: ["."], write: ["./out.txt"] } }) };
    outputOf(await world.call(action, { language: "python", code }, granted));
    expect(readFileSync(join(folder, "beside"), "utf8")).toBe("beside");
    expect(readFileSync(join(folder, "out.txt"), "utf8")).toBe("x");
  });

  test("$input without files is no word worth", async () => {
    const done = await world.sh("true", { folder, ...granting({ filesystem: { read: ["$input", "$input/a"], write: [] } }) });
    expect(warnings(done.lines)).toEqual([]);
  });
});

describe("a granted path that is a link", () => {
  const reading = (entry: string) => ({ folder, ...granting({ filesystem: { read: [entry], write: [] } }) });

  // Only root can give files to other users, and mount.
  test.skipIf(!isRoot)("is refused when a task made it, or made it in a folder of its own (needs root: other users)", async () => {
    const secret = join(world.write(`secret-${count}`, { s: "secret" }), "s");
    const { uid, gid } = ownUser("another execution") ?? { uid: -1, gid: -1 };
    symlinkSync(secret, join(folder, "planted"));
    lchownSync(join(folder, "planted"), uid, gid);
    mkdirSync(join(folder, "theirs"));
    symlinkSync(secret, join(folder, "theirs/planted"));
    chownSync(join(folder, "theirs"), uid, gid);
    symlinkSync(secret, join(folder, "own"));
    for (const entry of ["./planted", "./theirs/planted"]) {
      const done = await world.sh(`cat "${secret}"`, reading(entry));
      expect(warnings(done.lines)).toEqual([entry]);
      expect(done.outcome.ok).toBe(false);
    }
    expect(outputOf(await world.sh(`cat "${secret}"`, reading("./own")))).toMatchObject({ stdout: "secret" });
  });
});

describe("diskMb", () => {
  const fill = (mb: number, file: string) => `head -c ${mb}000000 /dev/zero > ${file}; sleep 3`;

  test("counts what an attempt adds to the workspace, not what stood there", async () => {
    const executionId = crypto.randomUUID();
    const at = (task: string) => ({ executionId, folders: world.workspaces.open(executionId, { task, itemIndex: null, attempt: 1 }) });
    outputOf(await world.sh("head -c 60000000 /dev/zero > big", at("a")));
    const [small, over] = [at("b"), at("c")];
    outputOf(await world.sh(fill(5, "little"), { ...small, ...granting({ diskMb: 20 }) }));
    expect(errorOf(await world.sh(fill(30, "$TMPDIR/a; cp $TMPDIR/a b"), { ...over, ...granting({ diskMb: 20 }) }))).toMatchObject({
      code: "PLUGIN_EXIT",
      details: { limit: "diskMb", diskMb: 20 },
    });
  }, 20_000);

  test("counts what lies under names that are no UTF-8, which are no artifacts either", async () => {
    const text =
      "import os\nos.chdir(os.environ['TMPDIR']); os.makedirs(b'out/\\xffd')\nwith open(b'out/\\xffd/\\xfe', 'wb') as f: f.write(b'x' * 3000000)";
    const started = world.start(script, { script: text, shell: "python3" });
    const outcome = await started.run.done;
    const bytes = await measureFolders([started.call.folders.workdir], Number.MAX_SAFE_INTEGER);
    const done = await started.finish();
    expect(outcome).toMatchObject({ ok: true, files: [] });
    expect(warnings(done.lines).length).toBe(1);
    expect(bytes).toBeGreaterThan(3_000_000);
    expect(existsSync(started.call.folders.workdir)).toBe(false);
  });

  test("is the sum of the limits where attempts share the workspace", async () => {
    const executionId = crypto.randomUUID();
    const at = (task: string) => ({ executionId, folders: world.workspaces.open(executionId, { task, itemIndex: null, attempt: 1 }) });
    const [big, small] = [at("a"), at("b")];
    const ends = await Promise.all([
      world.sh(fill(40, "big"), { ...big, ...granting({ diskMb: 100 }) }),
      world.sh("echo x > little; sleep 3", { ...small, ...granting({ diskMb: 20 }) }),
    ]);
    for (const end of ends) outputOf(end);
  }, 20_000);
});
