// The engine's own data stays out of reach of a grant that contains it: neither read nor changed nor moved away, by root's tasks and by an
// ordinary user's, while everything else of the grant works.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { users, World } from "./world.ts";

for (const user of users) {
  describe(`as ${user}`, () => {
    const world = new World(user);
    const { base, data } = world;
    const both = { filesystem: { read: [base], write: [base] } };
    const readOnly = { filesystem: { read: [base] } };
    const files = () => readdirSync(data, { recursive: true, encoding: "utf8" }).toSorted();

    test("nothing of it is read, also that of other executions", async () => {
      await world.runTasks([{ id: "first", run: "true" }], {});
      const other = join(data, "work/01990000-0000-7000-8000-000000000000/workspace");
      mkdirSync(other, { recursive: true });
      for (const path of [other, join(other, "..")]) chmodSync(path, 0o777);
      writeFileSync(join(other, "private.txt"), "of another execution");
      writeFileSync(join(other, "../keep"), "");
      const names = files().filter((name) => !name.startsWith("work/") && !name.startsWith("runtime"));
      expect(names).toContain("autokestra.db");
      const seen = `ls -A "${data}" "${data}/work" 2>&1; for name in ${names.join(" ")}; do head -c 1 "${data}/$name" >/dev/null 2>&1 && echo "READ $name"; done; cat "${other}/private.txt" 2>&1; true`;
      for (const permissions of [both, readOnly]) {
        const run = await world.runTasks(
          [
            { id: "own", run: `cat "${world.secret}"; echo mine > "$WORKSPACE/file" && cat "$WORKSPACE/file"` },
            { id: "seen", run: seen, needs: ["own"] },
            { id: "ts", shell: "bun", run: `console.log((await import("node:fs")).existsSync("${data}/autokestra.db"))`, needs: ["own"] },
          ],
          { permissions },
        );
        expect(run.tasks.get("own")).toMatchObject({ state: "SUCCESS", output: { stdout: "the secret of the hostmine" } });
        expect(run.tasks.get("ts")).toMatchObject({ state: "SUCCESS", output: { stdout: "false" } });
        const stdout = String(run.tasks.get("seen")?.output?.["stdout"]);
        expect(stdout).not.toContain("READ");
        expect(stdout).not.toContain("of another");
        expect(stdout).not.toContain("01990000");
        expect(stdout).not.toContain("autokestra.db");
      }
    }, 60_000);

    test("nothing of it is changed, removed or moved away", async () => {
      const before = files().filter((name) => !name.startsWith("work/"));
      const attack = [
        `echo x > "${data}/autokestra.db"`,
        `echo x > "${data}/admin.key"`,
        `rm -f "${data}"/autokestra* "${data}"/*.key`,
        `mv "${data}" "${base}/taken"`,
        `rmdir "${data}"`,
        `mkdir -p "${data}/keys" && echo x > "${data}/keys/planted"`,
        `ln "${data}/autokestra.db" "${base}/linked"`,
        `echo changed > "${base}/victim/changed"`,
      ];
      const run = await world.runTasks([{ id: "attack", run: attack.map((line) => `(${line}) 2>/dev/null || true`).join("\n") }], {
        permissions: both,
      });
      expect(run.tasks.get("attack")).toMatchObject({ state: "SUCCESS" });
      expect(readFileSync(join(base, "victim/changed"), "utf8")).toBe("changed\n");
      expect(files().filter((name) => !name.startsWith("work/"))).toEqual(before);
      for (const name of ["taken", "linked"]) expect(existsSync(join(base, name))).toBe(false);
    }, 60_000);

    test("a folder above it, inside of the grant, cannot be moved away either", async () => {
      const deep = join(base, "a/b/data");
      mkdirSync(deep, { recursive: true });
      for (const path of ["a", "a/b", "a/b/data"]) world.give(join(base, path));
      const script = `mv "${base}/a/b" "${base}/a/c" || true\nmv "${base}/a" "${base}/z" || true\necho x > "${base}/a/b/beside"`;
      const run = await world.runTasks([{ id: "move", run: script }], { permissions: both, data: deep });
      expect(run.tasks.get("move")).toMatchObject({ state: "SUCCESS" });
      expect(readdirSync(join(base, "a"))).toEqual(["b"]);
      expect(readFileSync(join(base, "a/b/beside"), "utf8")).toBe("x\n");
      expect(existsSync(join(deep, "autokestra.db"))).toBe(true);
    }, 60_000);

    test("a grant of something in it gives nothing, and says so", async () => {
      const entry = join(data, "autokestra.db");
      const run = await world.runTasks([{ id: "read", run: `head -c 1 "${entry}"` }], { permissions: { filesystem: { read: [entry, data] } } });
      const denial = { kind: "filesystem", target: entry, rule: "filesystem.read", grant: null };
      expect(run.tasks.get("read")).toMatchObject({ state: "FAILED", code: "PERMISSION_DENIED", details: denial });
      expect(run.denials.get("read")).toEqual([denial]);
    }, 60_000);
  });
}
