// Several processes on one store: they end with one key, none loses what it wrote, and none is told that its key is wrong.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { filesIn, getSecret, temporaryVaults } from "./stores.ts";

const { newPlace, open } = temporaryVaults();

async function run(args: readonly string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "vault-process.ts"), ...args], { stdout: "ignore", stderr: "pipe" });
  const problem = await new Response(child.stderr).text();
  return (await child.exited) === 0 ? "" : problem;
}

test("[WF-21] processes that make the first key at once end with one, which is the one on the disk", async () => {
  for (let round = 0; round < 3; round += 1) {
    const place = newPlace();
    // The store is there, so that they race for the key and not for its schema.
    open(place);
    const names = ["A", "B", "C", "D"];
    expect(await Promise.all(names.map((name) => run([place.folder, name])))).toEqual(names.map(() => ""));
    const fresh = open(place);
    for (const name of names) expect(await getSecret(fresh, name)).toBe(`${name} 0`);
    expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
    expect(new Set((await fresh.store.listSecrets({ limit: 10 })).map((row) => row.key_id)).size).toBe(1);
  }
}, 60_000);

test("[WF-21] two processes rotate while two others write and read; nothing is lost", async () => {
  const place = newPlace();
  const ours = open(place);
  const { id } = await ours.vault.key();
  const [rounds, many] = ["15", "60"];
  const ends = await Promise.all([
    run([place.folder, "A", rounds, "rotates"]),
    run([place.folder, "B", rounds, "rotates"]),
    run([place.folder, "C", many]),
    run([place.folder, "D", many]),
  ]);
  expect(ends).toEqual(["", "", "", ""]);
  for (const each of [ours, open(place)]) {
    expect(await getSecret(each, "A")).toBe(`A ${rounds}`);
    expect(await getSecret(each, "B")).toBe(`B ${rounds}`);
    expect(await getSecret(each, "C")).toBe(`C ${many}`);
    expect(await getSecret(each, "D")).toBe(`D ${many}`);
  }
  expect((await ours.vault.key()).id).not.toBe(id);
  expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
}, 60_000);
