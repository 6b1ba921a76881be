// The self-test of macOS refuses where nothing holds: a stand-in for sandbox-exec lets everything through, and says so by name.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { macTools } from "../../../src/plugins/runtimes/macos/command.ts";
import { lookUpPlaces } from "../../../src/plugins/runtimes/macos/places.ts";
import { examineMac } from "../../../src/plugins/runtimes/macos/probe.ts";

let folder = "";
const user = 501;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "workflow-mac-")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

const tools = (sandboxExec: string) => ({ ...macTools, sandboxExec, launchctl: join(folder, "none") });

test("attacks that get through leave nothing that is relied on, each by its layer", () => {
  const open = script("open", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"');
  const { state, results } = examineMac(tools(open), user);
  expect(state).toMatchObject({ level: "none", layers: [], canOwnUser: false });
  const lost = results.filter(({ held }) => !held).map(({ layer, attack }) => `${layer}: ${attack}`);
  expect(lost).toEqual(
    expect.arrayContaining([
      "sandbox-exec: read",
      "sandbox-exec: read by a link",
      "sandbox-exec: write",
      "sandbox-exec: chmod",
      "sandbox-exec: execute",
      "sandbox-exec: setuid bit",
      "sandbox-exec: signal",
      "sandbox-exec: hard link",
      "sandbox-exec: list the home folder",
      "network: connect",
      "network: connect outside",
      "network: unix socket",
      "network: listen",
      "network: datagram",
    ]),
  );
  expect(state.missing.map(({ layer }) => layer)).toEqual(expect.arrayContaining(["sandbox-exec", "network"]));
  // The prelude's work, which needs no sandbox.
  expect(results).toContainEqual({ layer: "limits", attack: "open files", held: true, detail: "limited" });
});

test("a sandbox in which nothing works is none, with what it said", () => {
  const broken = script("broken", "echo no such profile >&2; exit 65");
  const { state, results } = examineMac(tools(broken), user);
  expect(state.level).toBe("none");
  expect(state.missing).toEqual([{ layer: "sandbox-exec", why: expect.stringContaining("no such profile") }]);
  expect(results.some(({ held }) => held)).toBe(false);
});

test("nothing is tried without sandbox-exec, nor as root", () => {
  expect(examineMac(tools(join(folder, "missing")), user)).toMatchObject({
    results: [],
    state: { level: "none", missing: [{ layer: "sandbox-exec" }] },
  });
  expect(examineMac(macTools, 0)).toMatchObject({ results: [], state: { level: "none", missing: [{ layer: "sandbox-exec" }] } });
});

test("the start of a script may execute its interpreter too", () => {
  const path = script("program", "exit 0");
  const shell = realpathSync("/bin/sh");
  expect(lookUpPlaces(path).starts).toEqual(expect.arrayContaining([path, shell]));
  expect(lookUpPlaces(join(folder, "missing"))).toMatchObject({ starts: [] });
});
