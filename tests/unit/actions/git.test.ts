// core/git.*: a real git on real repositories.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clone, commit, diff } from "../../../src/actions/git/actions.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { placeOfGitUrl } from "../../../src/model/index.ts";
import { directContext } from "./direct-context.ts";
import { codeOf, useFolders } from "./folders.ts";

const folders = useFolders();
const context = directContext();

function cloneHere(input: JsonObject): Promise<JsonObject> {
  return clone(input, context);
}
const hasGit = Bun.which("git") !== null;

async function makeRepository(folder: string): Promise<string> {
  const repository = join(folder, "origin");
  mkdirSync(repository);
  writeFileSync(join(repository, "a.txt"), "one\n");
  const run = Bun.spawnSync(["git", "init", "--quiet", "--initial-branch=trunk", repository]);
  expect(run.exitCode).toBe(0);
  writeFileSync(join(repository, ".git/hooks/post-commit"), `#!/bin/sh\ntouch ${folder}/hook-ran\n`, { mode: 0o755 });
  await commit({ path: "./origin", message: "First" });
  return repository;
}

// git is not on every machine.
test.skipIf(!hasGit)("a repository is cloned, changed, compared and committed, without its hooks", async () => {
  const { folder, workspace } = folders();
  await makeRepository(folder);
  const cloned = await cloneHere({ url: "./origin" });
  expect(cloned).toMatchObject({ path: "origin", branch: "trunk" });
  writeFileSync(join(workspace, "origin/a.txt"), "one\ntwo\n");
  writeFileSync(join(workspace, "origin/new file"), Buffer.from([0, 1, 2]));
  const seen = await diff({ path: "origin" });
  expect(seen).toMatchObject({ changed: true, files: [{ path: "a.txt", status: "modified", added: 1, deleted: 0 }], truncated: false });
  expect(String(seen["diff"])).toContain("+two");
  const author = { name: "Ada", email: "ada@example.com" };
  const made = await commit({ path: "origin", message: "Second\n\n# not a comment", author });
  expect(made).toMatchObject({ changed: true, branch: "trunk" });
  expect(await commit({ path: "origin", message: "Nothing" })).toEqual({ ...made, changed: false });
  const both = await diff({ path: "origin", from: "HEAD~1", to: "HEAD" });
  expect(both["files"]).toEqual([
    { path: "a.txt", status: "modified", added: 1, deleted: 0 },
    { path: "new file", status: "added", added: null, deleted: null },
  ]);
  expect(existsSync(join(folder, "hook-ran"))).toBe(false);
  const log = Bun.spawnSync(["git", "-C", join(workspace, "origin"), "log", "-1", "--format=%an %ae%n%B"]).stdout.toString();
  expect(log.trim()).toBe("Ada ada@example.com\nSecond\n\n# not a comment");
});

// git is not on every machine.
test.skipIf(!hasGit)("a ref, a commit and a depth are cloned, and what is no address is refused", async () => {
  const { folder, workspace } = folders();
  const repository = await makeRepository(folder);
  const first = String((await cloneHere({ url: repository, to: "full" }))["commit"]);
  writeFileSync(join(repository, "a.txt"), "two\n");
  await commit({ path: repository, message: "Second" });
  expect(await cloneHere({ url: `file://${repository}`, to: "old", ref: first })).toMatchObject({ commit: first, branch: null });
  await cloneHere({ url: repository, to: "shallow", depth: 1, ref: "trunk" });
  expect(existsSync(join(workspace, "shallow/.git/shallow"))).toBe(true);
  expect(readFileSync(join(workspace, "shallow/a.txt"), "utf8")).toBe("two\n");
  expect(await codeOf(cloneHere({ url: "ext::sh -c touch% /tmp/x" }))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(cloneHere({ url: "git@127.0.0.1:x.git" }))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(cloneHere({ url: "ssh://git@127.0.0.1:1/x.git", insecureHostKey: true }))).toBe("TASK_FAILED");
  expect(await codeOf(cloneHere({ url: "--upload-pack=touch /tmp/x" }))).toBe("TASK_FAILED");
  expect(await codeOf(cloneHere({ url: repository, to: "full" }))).toBe("TASK_FAILED");
  expect(await codeOf(cloneHere({ url: repository, to: "x", ref: "--upload-pack=x" }))).toBe("TASK_FAILED");
  expect(await codeOf(diff({ path: "full", from: "--output=/tmp/x" }))).toBe("TASK_INPUT_INVALID");
});

// git is not on every machine; lists of processes are read from /proc.
test.skipIf(!hasGit || process.platform !== "linux")(
  "[WF-09] a password in an address is on no command line, and does not stay in the clone",
  async () => {
    const { folder, workspace } = folders();
    const repository = await makeRepository(folder);
    expect(Bun.spawnSync(["git", "-C", repository, "update-server-info"]).exitCode).toBe(0);
    const [user, password] = ["ada", "hush/Pass word%"];
    const seen: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        seen.push(...commandLines());
        if (request.headers.get("authorization") !== `Basic ${btoa(`${user}:${password}`)}`)
          return new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
        const file = join(repository, ".git", new URL(request.url).pathname.replace("/x.git/", ""));
        return existsSync(file) ? new Response(readFileSync(file)) : new Response("", { status: 404 });
      },
    });
    try {
      const host = `127.0.0.1:${server.port}`;
      const login = `${user}:${encodeURIComponent(password)}`;
      expect(await cloneHere({ url: `http://${login}@${host}/x.git`, to: "clone" })).toMatchObject({ path: "clone", branch: "trunk" });
      expect(readFileSync(join(workspace, "clone/a.txt"), "utf8")).toBe("one\n");
      expect(await codeOf(cloneHere({ url: `http://ada:wrong-hush@${host}/x.git`, to: "refused" }))).toBe("TASK_FAILED");
      expect(seen.some((line) => line.includes(`http://${host}/x.git`))).toBe(true);
      expect(seen.filter((line) => line.includes("hush"))).toEqual([]);
      expect(readFileSync(join(workspace, "clone/.git/config"), "utf8")).toContain(`url = http://${host}/x.git\n`);
      expect(Bun.spawnSync(["grep", "-rl", "hush", folder]).stdout.toString()).toBe("");
      expect(await codeOf(cloneHere({ url: `http://a%0Ab:c@${host}/x.git` }))).toBe("TASK_INPUT_INVALID");
    } finally {
      await server.stop(true);
    }
  },
);

function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it has ended meanwhile
      }
    });
}

test("an address leads to a host and port, or to a path", () => {
  expect(placeOfGitUrl("https://Example.com/x.git")).toEqual({ kind: "remote", scheme: "https", host: "example.com", port: 443 });
  expect(placeOfGitUrl("ssh://git@example.com:2222/x")).toEqual({ kind: "remote", scheme: "ssh", host: "example.com", port: 2222 });
  expect(placeOfGitUrl("git@example.com:a/b.git")).toEqual({ kind: "remote", scheme: "ssh", host: "example.com", port: 22 });
  expect(placeOfGitUrl("http://user:pw@[::1]:80/x")).toEqual({ kind: "remote", scheme: "http", host: "[::1]", port: 80 });
  expect(placeOfGitUrl("/srv/x.git")).toEqual({ kind: "local", path: "/srv/x.git" });
  expect(placeOfGitUrl("file:///srv/x")).toEqual({ kind: "local", path: "/srv/x" });
  expect(placeOfGitUrl("ext::sh -c x")).toBeNull();
  expect(placeOfGitUrl("ftp://example.com/x")).toBeNull();
});
