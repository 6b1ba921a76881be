// secrets set, get, list, delete, rotate-key of the built binary: over a running server, and over the same routes in process.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, type Ended, Home, type Server, until } from "../product/binary.ts";

type Bytes = { code: number | null; stdout: Buffer; stderr: string };
const fresh = (): string => `v${crypto.randomUUID()}`;

/** As `home.run`, with bytes in and out. */
function pipe(home: Home, args: readonly string[], stdin: string | Uint8Array, env: Record<string, string> = {}): Bytes {
  const ended = Bun.spawnSync([binary, ...args], { env: home.env(env), cwd: home.dir, stdin: Buffer.from(stdin) });
  return { code: ended.exitCode, stdout: ended.stdout, stderr: ended.stderr.toString() };
}

const set = (home: Home, name: string, value: string | Uint8Array, env: Record<string, string> = {}): Bytes =>
  pipe(home, ["secrets", "set", name], value, env);
const get = (home: Home, name: string, env: Record<string, string> = {}): Bytes => pipe(home, ["secrets", "get", name], "", env);

/** Exit code and code of the error, or the exit code alone. */
function outcome({ code, stderr }: Bytes | Ended): string {
  const found = /^error\[(\w+)\]|^\{"error":\{"code":"(\w+)"/m
    .exec(stderr)
    ?.slice(1)
    .find((one) => one !== undefined);
  return found === undefined ? String(code) : `${code} ${found}`;
}

/** Runs a command at a terminal of its own; what is typed follows once the screen ends as it says. */
async function atTerminal(
  home: Home,
  args: readonly string[],
  { typed, after }: { typed: readonly string[]; after: RegExp },
): Promise<{ code: number; screen: string }> {
  let screen = "";
  const child = Bun.spawn([binary, ...args], {
    env: home.env(),
    cwd: home.dir,
    terminal: { cols: 200, rows: 24, data: (_, data) => void (screen += Buffer.from(data).toString()) },
  });
  await until(() => (after.test(screen) ? true : null));
  for (const keys of typed) child.terminal?.write(keys);
  const code = await child.exited;
  child.terminal?.close();
  return { code, screen };
}

/** Whether any file below the folder holds the text. */
function holders(folder: string, text: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => readFileSync(path).includes(text));
}

describe.each(["with a server", "without a server"])("[WF-15] secrets %s", (way) => {
  const home = new Home();
  let server: Server | null = null;
  beforeAll(async () => {
    if (way === "with a server") server = await home.startServer();
  });
  afterAll(async () => void (await server?.stop()));

  test("a piped value is stored, printed bare, listed without it, and deleted", async () => {
    const value = fresh();
    expect(set(home, "TOKEN", `${value}\n`)).toMatchObject({ code: 0, stdout: Buffer.from(""), stderr: "Stored TOKEN.\n" });
    expect(get(home, "TOKEN")).toEqual({ code: 0, stdout: Buffer.from(value), stderr: "" });
    expect(JSON.parse((await home.run(["secrets", "get", "TOKEN", "--json"])).stdout)).toEqual({ name: "TOKEN", value });
    const table = await home.run(["secrets", "list"]);
    expect(table.stdout).toMatch(/^NAME +CREATED +UPDATED\nTOKEN +\d{4}-\S+Z +\d{4}-\S+Z\n$/);
    const { secrets } = JSON.parse((await home.run(["secrets", "list", "--json"])).stdout) as { secrets: object[] };
    expect(secrets.map(Object.keys)).toEqual([["name", "createdAt", "updatedAt", "by"]]);
    expect(outcome(await home.run(["secrets", "delete", "TOKEN"]))).toBe("2 USAGE");
    expect(get(home, "TOKEN").code).toBe(0);
    expect(await home.run(["secrets", "delete", "TOKEN", "--force"])).toMatchObject({ code: 0, stdout: "", stderr: "Deleted TOKEN.\n" });
    expect(outcome(get(home, "TOKEN"))).toBe("4 SECRET_NOT_FOUND");
    expect(outcome(await home.run(["secrets", "delete", "TOKEN", "--force"]))).toBe("4 SECRET_NOT_FOUND");
    expect(await home.run(["secrets", "list"])).toMatchObject({ code: 0, stdout: "" });
  });

  const bytes = Buffer.from([0xff, 0x00, 0x0d, 0x0a]);
  test.each([
    ["one line", "one\n", "one"],
    ["one line without its end", "one", "one"],
    ["one line of another machine", "one\r\n", "one"],
    ["lines of another machine", "one\r\ntwo\r\n", "one\r\ntwo\r\n"],
    ["several lines", "-----BEGIN\nabc\n-----END\n", "-----BEGIN\nabc\n-----END\n"],
    ["an empty line after it", "one\n\n", "one\n\n"],
    ["a line before it", "\none", "\none"],
    ["text beyond ASCII", "påss 🦊\n", "påss 🦊"],
    ["bytes that are no text", bytes, bytes],
    ["a byte order mark", Buffer.from("\uFEFFone"), Buffer.from("\uFEFFone")],
  ])("piped: %s", (_, given, stored) => {
    expect(set(home, "PIPED", given).code).toBe(0);
    expect(get(home, "PIPED").stdout).toEqual(Buffer.from(stored));
  });

  test("64 KiB are taken from a pipe, no byte more, and an endless one is not read to its end", () => {
    const most = crypto.getRandomValues(Buffer.alloc(64 * 1024));
    most[0] = 0xff;
    expect(set(home, "LARGE", most).code).toBe(0);
    expect(get(home, "LARGE").stdout.equals(most)).toBe(true);
    const line = "x".repeat(64 * 1024);
    expect(set(home, "LARGE", `${line}\n`).code).toBe(0);
    expect(get(home, "LARGE").stdout.toString()).toBe(line);
    expect(set(home, "LARGE", `${line}\r\n`).code).toBe(0);
    expect(get(home, "LARGE").stdout.toString()).toBe(line);
    expect(outcome(set(home, "LARGE", `${line}\r\nmore`))).toBe("3 SECRET_INVALID");
    expect(outcome(set(home, "LARGE", Buffer.concat([most, most.subarray(0, 1)])))).toBe("3 SECRET_INVALID");
    expect(outcome(set(home, "LARGE", ""))).toBe("3 SECRET_INVALID");
    expect(outcome(set(home, "LARGE", "\n"))).toBe("3 SECRET_INVALID");
    const endless = Bun.spawnSync(["sh", "-c", `"${binary}" secrets set LARGE < /dev/zero`], { env: home.env(), cwd: home.dir });
    expect(endless.exitCode).toBe(3);
    expect(get(home, "LARGE").stdout.toString()).toBe(line);
  });

  test("a value in the line works, and a warning says who sees it", async () => {
    const given = await home.run(["secrets", "set", "GIVEN", "in the line"]);
    expect([given.code, given.stdout]).toEqual([0, ""]);
    expect(given.stderr).toMatch(/^Warning: .*processes/);
    expect(get(home, "GIVEN").stdout.toString()).toBe("in the line");
    expect((await home.run(["secrets", "set", "GIVEN", "--", "--json"])).code).toBe(0);
    expect(get(home, "GIVEN").stdout.toString()).toBe("--json");
    const quiet = await home.run(["secrets", "set", "GIVEN", "another", "--quiet"]);
    expect([quiet.code, quiet.stdout]).toEqual([0, ""]);
    expect(quiet.stderr).toMatch(/^Warning: .*processes[^\n]*\n$/);
    const json = await home.run(["secrets", "set", "GIVEN", "yet another", "--json"]);
    expect([json.code, json.stdout, json.stderr.includes("Warning")]).toEqual([0, "", true]);
    expect(outcome(await home.run(["secrets", "set", "GIVEN", ""]))).toBe("3 SECRET_INVALID");
    const broken = Bun.spawnSync(["sh", "-c", `"${binary}" secrets set GIVEN "$(printf 'a\\377b')"`], { env: home.env(), cwd: home.dir });
    expect(broken.exitCode).toBe(2);
    expect(get(home, "GIVEN").stdout.toString()).toBe("yet another");
  });

  test("a value that is too short to be masked is stored with a warning", () => {
    expect(set(home, "SHORT", "abc\n")).toMatchObject({ code: 0, stderr: expect.stringContaining("not masked") as string });
    expect(set(home, "SHORT", "abcd\n").stderr).toBe("Stored SHORT.\n");
    const quiet = pipe(home, ["secrets", "set", "SHORT", "--quiet"], "abc\n");
    expect([quiet.code, quiet.stderr.includes("not masked")]).toEqual([0, true]);
  });

  test("a name that cannot be one is refused before anything is sent, and is not quoted", async () => {
    for (const name of ["A=S3cretMarker", "S3cret-Marker", "1S3cretMarker", ""]) {
      const { code, stdout, stderr } = set(home, name, "some value");
      expect([name, code, stdout.length]).toEqual([name, 3, 0]);
      expect(stderr).not.toContain("S3cret");
    }
    expect(outcome(await home.run(["secrets", "get", "no-such"]))).toBe("4 SECRET_NOT_FOUND");
    expect(outcome(await home.run(["secrets", "get", "../status"]))).toBe("4 SECRET_NOT_FOUND");
    const refused = await home.run(["secrets", "get", "no-such", "--json"]);
    const { error } = JSON.parse(refused.stderr) as { error: { request_id?: string; hint?: string } };
    expect([error.request_id, error.hint]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.stringContaining("secrets list")]);
  });

  test("a new key: everything is encrypted again, and can be read as before", async () => {
    const value = fresh();
    set(home, "ROTATED", value);
    const file = join(home.data, "keys", "secret.key");
    const before = readFileSync(file, "utf8");
    const said = await home.run(["secrets", "rotate-key"]);
    expect([said.code, said.stdout]).toEqual([0, ""]);
    expect(said.stderr).toContain(file);
    expect(readFileSync(file, "utf8")).not.toBe(before);
    expect([statSync(file).mode & 0o777, statSync(join(home.data, "keys")).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(get(home, "ROTATED").stdout.toString()).toBe(value);
    const answer = JSON.parse((await home.run(["secrets", "rotate-key", "--json"])).stdout) as { secrets: number };
    expect(Object.keys(answer)).toEqual(["keyId", "source", "secrets", "sealedValues"]);
    const { secrets } = JSON.parse((await home.run(["secrets", "list", "--json"])).stdout) as { secrets: object[] };
    expect(answer.secrets).toBe(secrets.length);
    expect(get(home, "ROTATED").stdout.toString()).toBe(value);
  });

  test("no value is in a file of the data folder, or in what other commands say", async () => {
    const value = fresh();
    set(home, "HIDDEN", value);
    for (const form of [value, btoa(value)]) expect(holders(home.data, form)).toEqual([]);
    const trace = await home.run(["trace", "tail", "--limit", "1000"]);
    expect(trace.stdout).toContain("trace.secret.written");
    expect(trace.stdout).not.toContain(value);
    for (const args of [["secrets", "list", "--json"], ["doctor"]]) expect((await home.run(args)).stdout).not.toContain(value);
  });

  test("a key that is given counts, also where none is needed", async () => {
    set(home, "KEYED", "some value");
    expect(outcome(get(home, "KEYED", { AUTOKESTRA_API_KEY: `ak_${"A".repeat(43)}` }))).toBe("6 UNAUTHORIZED");
    const created = await home.run(["key", "create", "--scope", "secret:read"]);
    const key = created.stdout.trim();
    expect(get(home, "KEYED", { AUTOKESTRA_API_KEY: key }).code).toBe(0);
    expect(outcome(set(home, "KEYED", "another", { AUTOKESTRA_API_KEY: key }))).toBe("6 FORBIDDEN");
    expect(outcome(await home.run(["secrets", "rotate-key", "--api-key", key]))).toBe("6 FORBIDDEN");
    expect(outcome(await home.run(["secrets", "delete", "KEYED", "--force", "--api-key", "ak_wrong"]))).toBe("6 UNAUTHORIZED");
    expect(get(home, "KEYED").stdout.toString()).toBe("some value");
  });

  test("the commands speak HTTP where there is a server, and open no port where there is none", async () => {
    if (server === null) {
      expect(existsSync(join(home.data, "server.json"))).toBe(false);
      return;
    }
    expect((await server.call("GET", "/metrics")).text).toMatch(
      /^autokestra_http_requests_total\{method="PUT",route="\/api\/v1\/secrets\/:name",status="204"\} [1-9]/m,
    );
  });
});

describe("[WF-15] at a terminal", () => {
  const home = new Home();
  const asked = /Value of TYPED \(not shown\): $/;

  test("the value is asked for, and not seen", async () => {
    const { code, screen } = await atTerminal(home, ["secrets", "set", "TYPED"], { typed: ["pass\u007fs wörü\u007fd", "\r"], after: asked });
    expect(code).toBe(0);
    expect(screen).toBe("Value of TYPED (not shown): \r\nStored TYPED.\r\n");
    expect(get(home, "TYPED").stdout.toString()).toBe("pass wörd");
  });

  test("at a terminal the value is printed with a newline", async () => {
    const { screen } = await atTerminal(home, ["secrets", "get", "TYPED"], { typed: [], after: /\n$/ });
    expect(screen).toBe("pass wörd\r\n");
  });

  test.each([
    ["Ctrl-C", ["other", "\u0003"], 130],
    ["several lines", ["other\nrm -rf\n"], 2],
    ["a key that is no text", ["other\u001b[A", "\r"], 2],
    ["nothing", ["\r"], 3],
    ["the end of input", ["\u0004"], 3],
  ])("%s ends it with nothing stored", async (_, typed, exit) => {
    const { code, screen } = await atTerminal(home, ["secrets", "set", "TYPED"], { typed, after: asked });
    expect([code, screen.includes("other")]).toEqual([exit, false]);
    expect(get(home, "TYPED").stdout.toString()).toBe("pass wörd");
  });

  test("the terminal is given back as it was", async () => {
    let screen = "";
    const script = `stty -a > before; "${binary}" secrets set TYPED; echo "exit $?"; stty -a > after`;
    const child = Bun.spawn(["sh", "-c", script], {
      env: home.env(),
      cwd: home.dir,
      terminal: { cols: 200, rows: 24, data: (_, data) => void (screen += Buffer.from(data).toString()) },
    });
    await until(() => (asked.test(screen) ? true : null));
    child.terminal?.write("other\u0003");
    await child.exited;
    child.terminal?.close();
    expect(screen).toContain("exit 130");
    expect(readFileSync(home.path("before"), "utf8")).toContain(" echo ");
    expect(readFileSync(home.path("after"), "utf8")).toBe(readFileSync(home.path("before"), "utf8"));
  });

  test("a deletion is asked about", async () => {
    const question = /\[y\/N\] $/;
    const remove = (typed: string) => atTerminal(home, ["secrets", "delete", "TYPED"], { typed: [typed], after: question });
    expect((await remove("n\r")).code).toBe(0);
    expect((await remove("\r")).code).toBe(0);
    expect((await remove("\u0003")).code).toBe(130);
    expect(get(home, "TYPED").code).toBe(0);
    expect((await remove("y\r")).code).toBe(0);
    expect(outcome(get(home, "TYPED"))).toBe("4 SECRET_NOT_FOUND");
  });
});

describe("[WF-15] keys", () => {
  const hex = (byte: string): string => byte.repeat(32);
  const withKey = (key: string, old?: string): Record<string, string> => ({
    AUTOKESTRA_SECRET_KEY: key,
    ...(old === undefined ? {} : { AUTOKESTRA_SECRET_KEY_OLD: old }),
  });
  const rotate = (home: Home, env: Record<string, string> = {}): Bytes => pipe(home, ["secrets", "rotate-key", "--json"], "", env);
  const sourceOf = ({ stdout }: Bytes): string => (JSON.parse(stdout.toString()) as { source: string }).source;
  const secretsCheck = async (home: Home, env: Record<string, string> = {}) => {
    const { checks } = JSON.parse((await home.run(["doctor", "--json"], { env })).stdout) as {
      checks: { id: string; status: string; message: string; hint: string }[];
    };
    return checks.find(({ id }) => id === "secrets");
  };

  test("a wrong key is exit 7, whichever way it is given; doctor says so", async () => {
    const home = new Home();
    expect((await secretsCheck(home))?.status).toBe("ok");
    set(home, "TOKEN", "some value");
    expect((await secretsCheck(home))?.status).toBe("ok");
    for (const env of [withKey(hex("ab")), withKey("a passphrase")]) {
      expect(outcome(get(home, "TOKEN", env))).toBe("7 SECRET_KEY_WRONG");
      expect(outcome(set(home, "TOKEN", "another", env))).toBe("7 SECRET_KEY_WRONG");
      expect((await secretsCheck(home, env))?.status).toBe("fail");
    }
    const file = join(home.data, "keys", "secret.key");
    const key = readFileSync(file, "utf8");
    for (const other of [`${hex("ab")}\n`, "no key\n", ""]) {
      writeFileSync(file, other);
      expect(outcome(get(home, "TOKEN"))).toBe("7 SECRET_KEY_WRONG");
      expect(outcome(set(home, "TOKEN", "another"))).toBe("7 SECRET_KEY_WRONG");
      expect(outcome(rotate(home))).toBe("7 SECRET_KEY_WRONG");
      expect(await secretsCheck(home)).toMatchObject({ status: "fail", hint: expect.any(String) as string });
    }
    // The key file's own text is good as AUTOKESTRA_SECRET_KEY too.
    expect(get(home, "TOKEN", withKey(key.trim())).stdout.toString()).toBe("some value");
    writeFileSync(file, key);
    expect(get(home, "TOKEN").stdout.toString()).toBe("some value");
  }, 20_000);

  test("a server with a wrong key starts and says so, in a line and in the trace; doctor says whose key it looked at", async () => {
    const home = new Home();
    set(home, "TOKEN", "some value", withKey("the passphrase"));
    const errors = async () => {
      const { stdout } = await home.run(["trace", "tail", "--event-type", "runtime.error"]);
      return stdout
        .split("\n")
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { payload: { code: string } }).payload.code);
    };
    const stop = async (server: Server): Promise<string[]> => {
      server.child.kill("SIGTERM");
      return (await server.ended).stderr.split("\n").filter((line) => line.includes("SECRET_KEY_WRONG"));
    };
    const right = await home.startServer([], withKey("the passphrase"));
    expect(outcome(get(home, "TOKEN"))).toBe("0");
    expect(await secretsCheck(home)).toMatchObject({ status: "warn", message: expect.stringContaining(`pid ${right.child.pid}`) as string });
    expect(await secretsCheck(home, withKey("the passphrase"))).toMatchObject({ status: "ok" });
    expect([await errors(), await stop(right)]).toEqual([[], []]);
    expect((await secretsCheck(home))?.status).toBe("fail");
    for (const [index, env] of [{}, withKey("another passphrase")].entries()) {
      const wrong = await home.startServer([], env);
      expect(outcome(get(home, "TOKEN"))).toBe("7 SECRET_KEY_WRONG");
      expect(await secretsCheck(home, withKey("the passphrase"))).toMatchObject({
        status: "ok",
        message: expect.stringContaining(`pid ${wrong.child.pid}`) as string,
      });
      expect(await errors()).toEqual(Array.from({ length: index + 1 }, () => "SECRET_KEY_WRONG"));
      expect(await stop(wrong)).toEqual([expect.stringMatching(/^warning\[SECRET_KEY_WRONG\]: .+ hint: .*AUTOKESTRA_SECRET_KEY/) as string]);
    }
  }, 30_000);

  test("a row that was changed is exit 7", async () => {
    const home = new Home();
    set(home, "LEFT", "left value");
    set(home, "RIGHT", "right value");
    const db = new Database(join(home.data, "autokestra.db"));
    db.run("update secrets set name = case name when 'LEFT' then 'RIGHT' else 'OTHER' end where name = 'RIGHT'");
    db.run("update secrets set name = 'RIGHT' where name = 'LEFT'");
    db.close();
    expect(outcome(get(home, "RIGHT"))).toBe("7 SECRET_TAMPERED");
    expect(get(home, "RIGHT").stdout.length).toBe(0);
    expect(outcome(rotate(home))).toBe("7 SECRET_TAMPERED");
    expect((await secretsCheck(home))?.status).toBe("fail");
  });

  test("files and folders that others may reach are refused, with the command that mends them", async () => {
    const home = new Home();
    set(home, "TOKEN", "some value");
    const places = [join(home.data, "keys", "secret.key"), join(home.data, "keys"), home.data];
    for (const place of places) {
      const { mode } = statSync(place);
      for (const bits of [0o040, 0o004, 0o020]) {
        chmodSync(place, (mode & 0o777) | bits);
        const refused = get(home, "TOKEN");
        expect([place, outcome(refused)]).toEqual([place, "3 FILE_MODE_UNSAFE"]);
        expect(outcome(set(home, "TOKEN", "another"))).toBe("3 FILE_MODE_UNSAFE");
        const command = /^hint: Run: (chmod .*)$/m.exec(refused.stderr)?.[1] ?? "false";
        expect(Bun.spawnSync(["sh", "-c", command]).exitCode).toBe(0);
        expect(get(home, "TOKEN").stdout.toString()).toBe("some value");
      }
    }
  });

  test("a key of the environment needs no file; rotation goes from one to another, and from and to the file", () => {
    const home = new Home();
    const file = join(home.data, "keys", "secret.key");
    set(home, "TOKEN", "some value", withKey("a passphrase"));
    expect(existsSync(file)).toBe(false);
    expect(outcome(get(home, "TOKEN"))).toBe("7 SECRET_KEY_WRONG");
    expect(outcome(rotate(home, withKey("a passphrase")))).toBe("3 CONFIG_INVALID");
    expect(outcome(rotate(home, withKey(hex("cd"))))).toBe("7 SECRET_KEY_WRONG");
    expect(sourceOf(rotate(home, withKey(hex("cd"), "a passphrase")))).toBe("hex");
    expect(outcome(get(home, "TOKEN", withKey("a passphrase")))).toBe("7 SECRET_KEY_WRONG");
    expect(get(home, "TOKEN", withKey(hex("cd"))).stdout.toString()).toBe("some value");

    const filed = new Home();
    set(filed, "TOKEN", "some value");
    expect(sourceOf(rotate(filed, withKey("another passphrase")))).toBe("passphrase");
    // A backup of before opens with it.
    expect(existsSync(join(filed.data, "keys", "secret.key"))).toBe(true);
    expect(outcome(get(filed, "TOKEN"))).toBe("7 SECRET_KEY_WRONG");
    expect(get(filed, "TOKEN", withKey("another passphrase")).stdout.toString()).toBe("some value");
  });
});

test("[WF-15] a server has its own environment: the refusal says that it is to be started again", async () => {
  const home = new Home();
  const server = await home.startServer([], { AUTOKESTRA_SECRET_KEY: "the server's passphrase" });
  set(home, "TOKEN", "some value");
  const env = { AUTOKESTRA_SECRET_KEY: "a new passphrase", AUTOKESTRA_SECRET_KEY_OLD: "the server's passphrase" };
  const refused = await home.run(["secrets", "rotate-key"], { env });
  expect(outcome(refused)).toBe("3 CONFIG_INVALID");
  expect(refused.stderr).toMatch(/^hint: .*AUTOKESTRA_SECRET_KEY .*AUTOKESTRA_SECRET_KEY_OLD.*restart/m);
  await server.stop();
  const rotated = await home.run(["secrets", "rotate-key"], { env });
  expect([rotated.code, rotated.stderr]).toEqual([0, expect.stringContaining("1 secret and 0 sealed values")]);
});

test("[WF-15] a key that is likely mistyped or easily guessed is warned of, once, by whoever makes it the store's", () => {
  const home = new Home();
  for (const [key, isDoubtful] of [
    ["ab".repeat(31), true],
    ["short", true],
    ["long enough", false],
    ["ab".repeat(32), false],
  ] as const) {
    const fresh = new Home();
    const env = { AUTOKESTRA_SECRET_KEY: key };
    const said = [1, 2].map(() => set(fresh, "TOKEN", "some value", env).stderr);
    expect([key, said.map((text) => text.includes("Warning: AUTOKESTRA_SECRET_KEY"))]).toEqual([key, [isDoubtful, false]]);
    expect(said[0]).not.toContain(key);
  }
  set(home, "TOKEN", "some value");
  expect(pipe(home, ["secrets", "rotate-key"], "", { AUTOKESTRA_SECRET_KEY: "brief" }).stderr).toContain("Warning: AUTOKESTRA_SECRET_KEY");
});

describe("[WF-21] one store, for the API and for tasks", () => {
  const home = new Home();
  const digest = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");
  const source = `id: uses
secrets: [TOKEN]
tasks:
  - id: hash
    run: echo "sum=$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)" >> "$WORKFLOW_OUTPUT"
    env: { TOKEN: "{{ secrets.TOKEN }}" }
outputs: { sum: "{{ tasks.hash.output.sum }}" }
`;

  test("a task gets what was stored last, over HTTP or by a command, and a missing one refuses the start", async () => {
    const server = await home.startServer();
    await server.apply("uses", source);
    const run = async () => (await server.call("POST", "/api/v1/workflows/uses/executions?wait=30s", {})) as { status: number; body: Execution };
    expect(await run()).toMatchObject({ status: 422, body: { error: { code: "SECRETS_MISSING", details: { names: ["TOKEN"] } } } });
    for (const store of [
      (value: string) => server.call("PUT", "/api/v1/secrets/TOKEN", { value }),
      (value: string) => home.run(["secrets", "set", "TOKEN"], { stdin: `${value}\n` }),
    ]) {
      const value = fresh();
      await store(value);
      const { status, body } = await run();
      expect([status, body.execution.outputs]).toEqual([200, { sum: digest(value) }]);
      await server.call("POST", "/api/v1/secrets/rotate-key");
      expect((await run()).body.execution.outputs).toEqual({ sum: digest(value) });
    }
    await server.stop();
  }, 60_000);
});

type Execution = { execution: { outputs: unknown } };
