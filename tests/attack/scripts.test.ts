// Plain `run:` tasks under attack: without any grant nothing on the network answers, by address or by name; what is granted is reached only by
// the ways that lead to it; and no program makes more of a task than it is.
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Run, users, World } from "./world.ts";

const isRoot = process.getuid?.() === 0;

function errorOf(run: Run, id: string): object {
  const { state, code, details, hint } = run.tasks.get(id) ?? { state: "", code: null, details: {}, hint: null };
  const { kind, target, grant } = details;
  return { state, code, kind, target, grant, hint };
}

for (const user of users) {
  describe(`as ${user}`, () => {
    const world = new World(user);
    beforeAll(async () => {
      await world.start();
    });

    test("[WF-14] without a grant an address and a name are denied with host and port, in every language", async () => {
      const scripts: [string, string, (url: string) => string][] = [
        ["sh", "sh", (url) => `curl -sS --max-time 5 ${url}`],
        ["python", "python3", (url) => `import urllib.request; print(urllib.request.urlopen("${url}", timeout=5).read())`],
        ["bun", "bun", (url) => `console.log(await (await fetch("${url}")).text())`],
      ];
      const urls: Record<string, [string, string]> = {
        address: [`http://127.0.0.1:${world.forbidden}/`, `127.0.0.1:${world.forbidden}`],
        other: ["http://192.0.2.7/", "192.0.2.7:80"],
        metadata: ["http://169.254.169.254/latest/meta-data/", "169.254.169.254:80"],
        name: ["https://db.example.com/x", "db.example.com:443"],
        named: ["http://api.example.com:8080/", "api.example.com:8080"],
        plain: ["http://www.example.com/", "www.example.com:80"],
      };
      const tasks = scripts.flatMap(([language, shell, text]) =>
        Object.entries(urls).map(([id, [url]]) => ({ id: `${language}_${id}`, shell, run: text(url) })),
      );
      const run = await world.runTasks(tasks);
      const wanted = scripts.flatMap(([language]) =>
        Object.entries(urls).map(([id, [, target]]) => {
          const grant = `network: ["${target}"]`;
          return {
            id: `${language}_${id}`,
            state: "FAILED",
            code: "PERMISSION_DENIED",
            kind: "network",
            target,
            grant,
            hint: `Add to permissions: ${grant}`,
          };
        }),
      );
      expect(wanted.map(({ id }) => ({ id, ...errorOf(run, id) }))).toEqual(wanted);
      for (const { id, target } of wanted) {
        const events = (run.denials.get(id) ?? []).map((denial) => denial.target);
        const logged = (run.logged.get(id) ?? []).map((denial) => denial.target);
        expect({ id, events, logged: logged.toSorted() }).toEqual({ id, events: expect.arrayContaining([target]), logged: events.toSorted() });
      }
      expect(world.reached).toBe(0);
    }, 60_000);

    test("[WF-14] a plain socket to a granted address is denied, and the error names the way that leads there", async () => {
      const script = `import socket; socket.create_connection(("127.0.0.1", ${world.granted}), 3)`;
      const run = await world.runTasks([{ id: "direct", shell: "python3", run: script }], {
        permissions: { network: [`127.0.0.1:${world.granted}`] },
      });
      const target = `127.0.0.1:${world.granted}`;
      expect(errorOf(run, "direct")).toMatchObject({ code: "PERMISSION_DENIED", kind: "network", target, grant: null });
      expect(run.tasks.get("direct")?.hint).toContain("$WORKFLOW_FORWARD");
    }, 60_000);

    test("a program that sets its user, the system's or the task's own, makes nobody root", async () => {
      const own = 'cp /usr/bin/id "$TMPDIR/id"; chmod 4755 "$TMPDIR/id"; [ ! -u "$TMPDIR/id" ]';
      const rights = "grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs):' /proc/self/status";
      const tasks = [
        { id: "own", run: own },
        { id: "rights", run: rights },
      ];
      const run = await world.runTasks(tasks);
      expect(run.tasks.get("own")?.state).toBe("FAILED");
      const lines = String(run.tasks.get("rights")?.output?.["stdout"]).split("\n");
      expect(lines.map((line) => line.split(":\t")).filter(([, value]) => value !== "0000000000000000")).toEqual([["NoNewPrivs", "1"]]);
    }, 60_000);

    // Only root can make a program that becomes root.
    test.skipIf(!isRoot)(
      "a program of root's that sets its user gives no rights (skipped for an ordinary user, who cannot make one)",
      async () => {
        const program = join(world.base, "id");
        copyFileSync("/usr/bin/id", program);
        chownSync(program, 0, 0);
        chmodSync(program, 0o4755);
        const script = `"${program}"; sh -c 'exec "${program}" -u'`;
        const run = await world.runTasks([{ id: "id", run: script }], { permissions: { filesystem: { read: [program] } } });
        expect(run.tasks.get("id")).toMatchObject({ state: "SUCCESS" });
        const stdout = String(run.tasks.get("id")?.output?.["stdout"]);
        expect(stdout).not.toContain("euid");
        expect(stdout).not.toMatch(/(?:uid=|^)0\b/m);
      },
      60_000,
    );

    test("what the engine has open reaches no task", async () => {
      const script = 'for fd in $(ls /proc/self/fd); do readlink "/proc/self/fd/$fd" || true; done';
      const run = await world.runTasks([{ id: "open", run: script }]);
      expect(run.tasks.get("open")).toMatchObject({ state: "SUCCESS" });
      const links = String(run.tasks.get("open")?.output?.["stdout"]).split("\n");
      expect(links.filter((link) => link.includes("autokestra") || link.includes(world.data) || link.startsWith("socket:"))).toEqual([]);
    }, 60_000);
  });
}
