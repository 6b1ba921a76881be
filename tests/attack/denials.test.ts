// What a plugin may not do, tried in three languages, as root and as an ordinary user: each try is denied, and each denial is seen as the
// task's error, as a log line and as an event, with the grant that would allow it.
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Attack, type Denied, type Language, languages, type Run, users, World } from "./world.ts";

type Expected = { attack: Attack; kind: string; target: string; grant: string | null; not?: readonly Language[] };

function attacksOf(world: World): Record<string, Expected> {
  const files = (path: string, access: "read" | "write") => ({ kind: "filesystem", target: path, grant: `filesystem: { ${access}: ["${path}"] }` });
  const network = (target: string) => ({ kind: "network", target, grant: `network: ["${target}"]` });
  const open = join(world.open, "file");
  const key = join(world.data, "autokestra.db");
  return {
    hostSecret: { attack: { attack: "read", path: "/etc/shadow" }, ...files("/etc/shadow", "read") },
    othersFile: { attack: { attack: "read", path: world.secret }, ...files(world.secret, "read") },
    // No grant opens what is the engine's own.
    engineStore: { attack: { attack: "read", path: key }, ...files(key, "read"), grant: null },
    otherFolder: { attack: { attack: "list", path: world.open }, ...files(world.open, "read") },
    writeOutside: { attack: { attack: "write", path: open }, ...files(open, "write") },
    removeOutside: { attack: { attack: "remove", path: open }, ...files(open, "write") },
    chmodOutside: { attack: { attack: "chmod", path: open }, ...files(open, "write") },
    readByLink: { attack: { attack: "readByLink", path: world.secret }, ...files(world.secret, "read") },
    writeByLink: { attack: { attack: "writeByLink", path: open }, ...files(open, "write") },
    hardLink: { attack: { attack: "hardLink", path: world.secret }, ...files(world.secret, "read") },
    otherPort: { attack: { attack: "connect", host: "127.0.0.1", port: world.forbidden }, ...network(`127.0.0.1:${world.forbidden}`) },
    otherHost: { attack: { attack: "connect", host: "192.0.2.1", port: 80 }, ...network("192.0.2.1:80") },
    metadata: { attack: { attack: "connect", host: "169.254.169.254", port: 80 }, ...network("169.254.169.254:80") },
    metadataHttp: { attack: { attack: "http", host: "169.254.169.254", port: 80 }, ...network("169.254.169.254:80") },
    httpOther: { attack: { attack: "http", host: "127.0.0.1", port: world.forbidden }, ...network(`127.0.0.1:${world.forbidden}`) },
    unix: { attack: { attack: "unix", path: world.socket }, kind: "network", target: `unix:${world.socket}`, grant: null },
    udp: { attack: { attack: "udp", host: "127.0.0.1", port: world.udp }, kind: "network", target: "udp", grant: null },
    ptrace: { attack: { attack: "ptrace", pid: world.victim }, kind: "syscall", target: "ptrace", grant: null, not: ["sh"] },
  };
}

/** How a task ended, and the first of its denials as event, as log line and in its error. */
function seen(run: Run, id: string): object {
  const task = run.tasks.get(id);
  const short = ({ kind, target, grant }: Partial<Denied> = {}) => ({ kind, target, grant });
  const [event] = run.denials.get(id) ?? [];
  const [log] = run.logged.get(id) ?? [];
  return { state: task?.state, reason: task?.reason, code: task?.code, event: short(event), log: short(log), error: short(task?.details) };
}

for (const user of users) {
  describe(`as ${user}`, () => {
    const world = new World(user);
    let runs: Record<Language, Run>;
    let expected: Record<string, Expected>;
    beforeAll(async () => {
      await world.start();
      expected = attacksOf(world);
      const permissions = { network: [`127.0.0.1:${world.granted}`], run: true };
      const all: Partial<Record<Language, Run>> = {};
      for (const language of languages) {
        const chosen = Object.entries(expected).filter(([, { not = [] }]) => !not.includes(language));
        all[language] = await world.attack(Object.fromEntries(chosen.map(([id, { attack }]) => [id, [language, attack] as [Language, Attack]])), {
          permissions,
        });
      }
      runs = all as Record<Language, Run>;
    }, 120_000);

    for (const language of languages) {
      test(`[WF-14] ${language}: every try is denied, and seen as error, log line and event with the grant`, () => {
        const wanted: object[] = [];
        const found: object[] = [];
        for (const [id, { kind, target, grant, not = [] }] of Object.entries(expected)) {
          if (not.includes(language)) continue;
          const denial = { kind, target, grant };
          wanted.push({ id, state: "FAILED", reason: "PERMISSION_DENIED", code: "PERMISSION_DENIED", event: denial, log: denial, error: denial });
          found.push({ id, ...seen(runs[language], id) });
        }
        expect(found).toEqual(wanted);
      });
    }

    test("nothing was reached, read or changed", () => {
      expect(world.reached).toBe(0);
      expect(readFileSync(join(world.open, "file"), "utf8")).toBe("open to everybody");
      expect(statSync(join(world.open, "file")).mode & 0o777).toBe(0o666);
      for (const language of languages) {
        const outputs = JSON.stringify([...runs[language].tasks.values()]);
        expect(outputs).not.toContain("the secret of the host");
      }
    });

    test("a granted port is reached, and it alone, by fetch, curl and urllib, and by plain sockets through a forwarder", async () => {
      const permissions = { network: [`127.0.0.1:${world.granted}`] };
      const http = { attack: "http", host: "127.0.0.1", port: world.granted };
      const run = await world.attack(
        { ts: ["ts", http], sh: ["sh", http], python: ["python", http] },
        { permissions: { ...permissions, run: true } },
      );
      expect([...run.tasks].map(([id, { state }]) => [id, state]).toSorted()).toEqual([
        ["python", "SUCCESS"],
        ["sh", "SUCCESS"],
        ["ts", "SUCCESS"],
      ]);
      expect(run.tasks.get("ts")?.output).toEqual({ body: "granted" });
      const script = `python3 - <<'PY'
import json, os, socket
host, port = json.loads(os.environ["WORKFLOW_FORWARD"])["127.0.0.1:${world.granted}"].split(":")
s = socket.create_connection((host, int(port)))
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
assert b"granted" in s.makefile("rb").read()
PY`;
      const plain = await world.runTasks([{ id: "plain", run: script }], { permissions });
      expect(plain.tasks.get("plain")).toMatchObject({ state: "SUCCESS" });
    }, 60_000);

    test("a task has the descriptors and variables it was given, and no others", async () => {
      const attacks: Record<string, [Language, Attack]> = {};
      for (const language of languages) {
        attacks[`${language}_descriptors`] = [language, { attack: "descriptors" }];
        attacks[`${language}_environment`] = [language, { attack: "environment" }];
      }
      const run = await world.attack(attacks, { permissions: { run: true } });
      for (const language of languages) {
        const open = (run.tasks.get(`${language}_descriptors`)?.output?.["open"] ?? []) as string[];
        const inherited = open.filter(
          (text) => !/:(?:pipe:|\/memfd:task-stdin|anon_inode|socket:|\/proc\/|\/dev\/null|$)/.test(text) && !text.includes("/main.sh"),
        );
        expect({ language, inherited, count: open.length > 2 }).toEqual({ language, inherited: [], count: true });
        const names = (run.tasks.get(`${language}_environment`)?.output?.["names"] ?? []) as string[];
        expect(names).toContain("TMPDIR");
        expect(names.filter((name) => /SECRET|AUTOKESTRA|ENGINE|PROXY/i.test(name))).toEqual([]);
      }
    }, 60_000);

    test("processes of the engine and of strangers are neither seen nor signalled", async () => {
      const engine = `for name in environ maps cmdline root/etc/shadow cwd/x; do cat /proc/${world.victim}/$name 2>/dev/null && exit 0; done; cat /proc/1/environ /proc/$PPID/environ`;
      const signals = Object.fromEntries(
        languages.map((language) => [language, [language, { attack: "signal", pid: world.victim }] as [Language, Attack]]),
      );
      const run = await world.attack(signals, { permissions: { run: true } });
      for (const language of languages) expect(run.tasks.get(language)?.state).toBe("FAILED");
      const seenProc = await world.runTasks([{ id: "proc", run: engine }]);
      expect(seenProc.tasks.get("proc")?.state).toBe("FAILED");
      expect(JSON.stringify(seenProc.tasks.get("proc")?.output)).not.toContain("TOP_SECRET");
      expect(existsSync(`/proc/${world.victim}`)).toBe(true);
    }, 60_000);

    test("tasks of other executions are out of reach while they run", async () => {
      const place = join(world.base, "where");
      writeFileSync(place, "");
      chmodSync(place, 0o666);
      const holder = world.runTasks(
        [
          {
            id: "hold",
            run: `echo mine > private.txt; echo "$PWD" > ${place}; i=0; while [ -s ${place} ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done`,
          },
        ],
        {
          permissions: { filesystem: { write: [place] } },
        },
      );
      const end = performance.now() + 10_000;
      while (readFileSync(place, "utf8").trim() === "" && performance.now() < end) await Bun.sleep(20);
      const file = join(readFileSync(place, "utf8").trim(), "private.txt");
      const run = await world.attack(
        Object.fromEntries(languages.map((language) => [language, [language, { attack: "read", path: file }] as [Language, Attack]])),
        {
          permissions: { run: true },
        },
      );
      writeFileSync(place, "");
      await holder;
      for (const language of languages) expect(run.tasks.get(language)).toMatchObject({ state: "FAILED", code: "PERMISSION_DENIED" });
    }, 60_000);
  });
}
