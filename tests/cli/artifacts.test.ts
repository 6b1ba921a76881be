// Artifacts through the built product: made by a task, listed, read and saved, in process and over HTTP.
import { beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Home, type Server } from "../product/binary.ts";

const home = new Home();
const bytes = 3_000_000;
const zeroes = new Uint8Array(bytes);
const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");
const flow = `id: files
tasks:
  - id: first
    run: mkdir "$HOME/out"; echo one > "$HOME/out/note.txt"; head -c ${bytes} /dev/zero > "$HOME/out/zero.bin"
  - id: second
    needs: [first]
    run: mkdir -p "$HOME/out/päth"; echo two > "$HOME/out/note.txt"; echo '{"a":1}' > "$HOME/out/päth/d q.json"
`;
type Item = { name: string; taskId: string; attempt: number; size: number; sha256: string; uri: string; contentType: string; createdAt: string };
let id = "";

beforeAll(async () => {
  writeFileSync(home.path("files.yaml"), flow);
  const { code, stdout, stderr } = await home.run(["run", "files.yaml", "--json"]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  id = (JSON.parse(stdout) as { execution: { executionId: string } }).execution.executionId;
}, 60_000);

const artifacts = (...args: string[]) => home.run(["execution", "artifacts", id, ...args]);

function cases(): void {
  test("are listed, oldest first, page by page", async () => {
    const { stdout, code } = await artifacts("--json");
    const { artifacts: found, nextCursor } = JSON.parse(stdout) as { artifacts: Item[]; nextCursor: string | null };
    expect([code, nextCursor, found.map(({ name, taskId, size }) => [name, taskId, size])]).toEqual([
      0,
      null,
      [
        ["note.txt", "first", 4],
        ["zero.bin", "first", bytes],
        ["note.txt", "second", 4],
        ["päth/d q.json", "second", 8],
      ],
    ]);
    expect(found[1]).toMatchObject({
      attempt: 1,
      sha256: sha256(zeroes),
      uri: `artifact:${sha256(zeroes)}`,
      contentType: "application/octet-stream",
    });
    const page = JSON.parse((await artifacts("--json", "--limit", "3")).stdout) as { artifacts: Item[]; nextCursor: string };
    const rest = JSON.parse((await artifacts("--json", "--limit", "3", "--cursor", page.nextCursor)).stdout) as { artifacts: Item[] };
    expect([...page.artifacts, ...rest.artifacts]).toEqual(found);
    const ofTask = JSON.parse((await artifacts("--json", "--task", "second")).stdout) as { artifacts: Item[] };
    expect(ofTask.artifacts).toEqual(found.slice(2));
    const table = await artifacts();
    expect(table.stdout.split("\n")[0]).toMatch(/^NAME +TASK +TRY +SIZE/);
  });

  test("are read from stdout: of one name the newest, or that of a task", async () => {
    expect((await artifacts("note.txt")).stdout).toBe("two\n");
    expect((await artifacts("note.txt", "--task", "first", "-o", "-")).stdout).toBe("one\n");
    expect((await artifacts("päth/d q.json")).stdout).toBe('{"a":1}\n');
  });

  test("are saved into a file or a folder, and overwrite with --force only", async () => {
    const place = home.path(`place${Math.random()}`);
    mkdirSync(place);
    const saved = await artifacts("zero.bin", "-o", `${place}/z`, "--json");
    expect(JSON.parse(saved.stdout)).toEqual({ file: `${place}/z`, name: "zero.bin", size: bytes, sha256: sha256(zeroes) });
    expect(sha256(readFileSync(`${place}/z`))).toBe(sha256(zeroes));
    expect((await artifacts("päth/d q.json", "-o", place)).code).toBe(0);
    expect(readFileSync(`${place}/d q.json`, "utf8")).toBe('{"a":1}\n');
    writeFileSync(`${place}/mine`, "mine");
    const refused = await artifacts("note.txt", "-o", `${place}/mine`);
    expect([refused.code, readFileSync(`${place}/mine`, "utf8")]).toEqual([5, "mine"]);
    expect((await artifacts("note.txt", "-o", `${place}/mine`, "--force")).code).toBe(0);
    expect(readFileSync(`${place}/mine`, "utf8")).toBe("two\n");
  });

  test("that are not there are not found", async () => {
    const codeOf = async (...args: string[]) => {
      const { code, stderr } = await home.run(["execution", "artifacts", ...args, "--json"]);
      return [code, (JSON.parse(stderr) as { error: { code: string } }).error.code];
    };
    expect(await codeOf(id, "none")).toEqual([4, "ARTIFACT_NOT_FOUND"]);
    expect(await codeOf(id, "zero.bin", "--task", "second")).toEqual([4, "ARTIFACT_NOT_FOUND"]);
    expect(await codeOf("0198c0de-0000-7000-8000-000000000000")).toEqual([4, "EXECUTION_NOT_FOUND"]);
    expect(await codeOf(id, "-o", "x")).toEqual([2, "USAGE"]);
  });
}

describe("artifacts of the local store", cases);

describe("artifacts of a server", () => {
  let server: Server;
  beforeAll(async () => {
    server = await home.startServer();
  }, 30_000);
  cases();

  test("are bytes with their type, as a file to save", async () => {
    const get = (name: string, query = "") =>
      fetch(`${server.url}/api/v1/executions/${id}/artifacts/${encodeURIComponent(name)}${query}`, {
        headers: { authorization: `Bearer ${server.key}` },
      });
    const json = await get("päth/d q.json");
    expect([json.status, await json.text()]).toEqual([200, '{"a":1}\n']);
    expect(json.headers.get("content-disposition")).toBe(`attachment; filename="d q.json"; filename*=UTF-8''d%20q.json`);
    expect([json.headers.get("content-type"), json.headers.get("x-content-type-options"), json.headers.get("content-security-policy")]).toEqual([
      "application/json;charset=utf-8",
      "nosniff",
      "sandbox",
    ]);
    const large = await get("zero.bin");
    expect([large.headers.get("etag"), sha256(await large.bytes())]).toEqual([`"${sha256(zeroes)}"`, sha256(zeroes)]);
    expect(await (await get("note.txt", "?taskId=first")).text()).toBe("one\n");
    expect([(await get("none")).status, (await get("note.txt", "?nope=1")).status]).toEqual([404, 400]);
  });

  test("need the scope", async () => {
    const made = await server.call("POST", "/api/v1/keys", { principal: { type: "user", id: "reader" }, roles: [], scopes: ["workflow:read"] });
    const { key } = made.body as { key: string };
    const answer = await fetch(`${server.url}/api/v1/executions/${id}/artifacts`, { headers: { authorization: `Bearer ${key}` } });
    expect(answer.status).toBe(403);
  });
});
