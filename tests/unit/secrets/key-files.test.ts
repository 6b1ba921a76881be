// What the key's files and folders must be before they are used: this user's alone, and what they seem. Each refusal says how to mend it.
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyFile } from "../../../src/secrets/key-files.ts";
import { expectSilent, getSecret, openVault, type Place, placeAt, refusal, rotate, setSecret, temporaryVaults } from "./stores.ts";

const { newPlace, open } = temporaryVaults();
const isRoot = process.geteuid?.() === 0;

async function filled(): Promise<Place> {
  const place = newPlace();
  await setSecret(open(place), "A", "value");
  return place;
}

/** Runs what a hint says to run. */
async function obey(hint: string | undefined, cwd = "/"): Promise<void> {
  const command = /^Run: (.+)$/.exec(hint ?? "")?.[1] ?? "false";
  expect(await Bun.spawn(["sh", "-c", command], { cwd }).exited).toBe(0);
}

async function expectUnsafe(place: Place, path: string, over: { mode?: string } = {}): Promise<string | undefined> {
  let hint: string | undefined;
  for (const work of [() => getSecret(open(place), "A"), () => open(place).vault.key(), () => open(place).vault.rotate()]) {
    const error = await refusal(work());
    expect(error.code).toBe("FILE_MODE_UNSAFE");
    expect(error.details).toEqual({ path, mode: over.mode ?? expect.stringMatching(/^[0-7]{4}$/) });
    expectSilent(error, existsSync(place.keyFile) && lstatSync(place.keyFile).isFile() ? readFileSync(place.keyFile, "utf8").trim() : "value");
    ({ hint } = error);
  }
  return hint;
}

describe("[WF-21] modes", () => {
  test.each(["0640", "0604", "0620", "0610", "0777", "0644"])("a key file of mode %s is refused until the hint's command was run", async (mode) => {
    const place = await filled();
    chmodSync(place.keyFile, Number.parseInt(mode, 8));
    await obey(await expectUnsafe(place, place.keyFile, { mode }));
    expect(statSync(place.keyFile).mode & 0o777).toBe(0o600);
    expect(await getSecret(open(place), "A")).toBe("value");
  });

  test.each(["0750", "0705", "0701", "0777"])(
    "a key folder, and a data folder, of mode %s are refused until the hint's command was run",
    async (mode) => {
      for (const which of ["keysDir", "folder"] as const) {
        const place = await filled();
        chmodSync(place[which], Number.parseInt(mode, 8));
        await obey(await expectUnsafe(place, place[which], { mode }));
        expect(statSync(place[which]).mode & 0o777).toBe(0o700);
        expect(await getSecret(open(place), "A")).toBe("value");
      }
    },
  );

  test("no key is made in a folder that others may reach, and none is needed to be told of it", async () => {
    const place = newPlace();
    chmodSync(place.folder, 0o755);
    for (const given of [{}, { secretKey: "a".repeat(64) }, { secretKey: "a passphrase" }]) {
      expect((await refusal(open(place, given).vault.key())).code).toBe("FILE_MODE_UNSAFE");
      expect(await open(place).store.findSecretKey()).toBeNull();
    }
    expect(existsSync(place.keysDir)).toBe(false);
    chmodSync(place.folder, 0o700);
    mkdirSync(place.keysDir, { mode: 0o755 });
    chmodSync(place.keysDir, 0o755);
    expect((await refusal(open(place).vault.key())).code).toBe("FILE_MODE_UNSAFE");
    expect(existsSync(place.keyFile)).toBe(false);
  });

  test("a new key that a rotation left is held to the same", async () => {
    const place = await filled();
    const killed = open(place);
    const { rotation } = await killed.vault.rotate();
    await killed.commit({ rotation });
    const left = join(place.keysDir, `secret.key.${rotation.to.key_id}.new`);
    chmodSync(left, 0o644);
    await obey(await expectUnsafe(place, left));
    expect(await getSecret(open(place), "A")).toBe("value");
  });

  test("a vault that has its key is not stopped by what becomes of the file", async () => {
    const place = await filled();
    const ours = open(place);
    expect(await getSecret(ours, "A")).toBe("value");
    chmodSync(place.keyFile, 0o644);
    expect(await getSecret(ours, "A")).toBe("value");
  });

  test("the umask of the process does not open what is made", async () => {
    const before = process.umask(0);
    try {
      const place = await filled();
      await rotate(open(place));
      expect([place.keysDir, place.keyFile].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600]);
    } finally {
      process.umask(before);
    }
  });

  test("the hint's command holds for paths with blanks, quotes and dollars", async () => {
    const root = mkdtempSync(join(tmpdir(), "vault-"));
    const place = placeAt(join(root, `it's "a" $(touch owned) path`));
    mkdirSync(place.folder, { mode: 0o700 });
    const ours = openVault(place);
    await setSecret(ours, "A", "value");
    await ours.store.close();
    chmodSync(place.keyFile, 0o644);
    await obey(await expectUnsafe(place, place.keyFile), root);
    expect(statSync(place.keyFile).mode & 0o777).toBe(0o600);
    expect(existsSync(join(root, "owned"))).toBe(false);
    rmSync(root, { recursive: true });
  });
});

describe("[WF-21] the first key", () => {
  test("is the one whose file got the name; who comes later takes it", () => {
    const { keysDir, keyFile } = newPlace();
    const [first, second] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const { id } = makeKeyFile(keysDir, first);
    expect(makeKeyFile(keysDir, second).id).toBe(id);
    expect(readFileSync(keyFile, "utf8")).toBe(`${"01".repeat(32)}\n`);
    expect(readdirSync(keysDir)).toEqual(["secret.key"]);
  });

  test("whose file cannot be written is STORE_UNAVAILABLE, and leaves no row", async () => {
    const place = newPlace();
    const blocked = { ...place, keysDir: join(place.folder, "store.db", "keys") };
    expect((await refusal(open(blocked).vault.key())).code).toBe("STORE_UNAVAILABLE");
    expect(await open(place).store.findSecretKey()).toBeNull();
  });
});

describe("[WF-21] what is not what it seems", () => {
  test("links are refused, wherever they lead", async () => {
    const place = await filled();
    const moved = join(place.folder, "elsewhere.key");
    renameSync(place.keyFile, moved);
    symlinkSync(moved, place.keyFile);
    await expectUnsafe(place, place.keyFile);
    rmSync(place.keyFile);
    renameSync(moved, place.keyFile);
    const folder = join(place.folder, "elsewhere");
    renameSync(place.keysDir, folder);
    symlinkSync(folder, place.keysDir);
    await expectUnsafe(place, place.keysDir);
  });

  test("a link that leads nowhere is no place to make a key", async () => {
    const place = newPlace();
    mkdirSync(place.keysDir, { mode: 0o700 });
    const target = join(place.folder, "target");
    symlinkSync(target, place.keyFile);
    expect((await refusal(open(place).vault.key())).code).toBe("FILE_MODE_UNSAFE");
    expect(existsSync(target)).toBe(false);
  });

  test("a data folder may be a link: what it leads to is looked at", async () => {
    const place = await filled();
    const link = `${place.folder}-link`;
    symlinkSync(place.folder, link);
    expect(await getSecret(open(placeAt(link)), "A")).toBe("value");
    chmodSync(place.folder, 0o750);
    expect((await refusal(getSecret(open(placeAt(link)), "A"))).code).toBe("FILE_MODE_UNSAFE");
    rmSync(link);
  });

  test("pipes and folders are refused, and nothing waits for a pipe's other end", async () => {
    const place = await filled();
    rmSync(place.keyFile);
    mkdirSync(place.keyFile, { mode: 0o700 });
    await expectUnsafe(place, place.keyFile);
    rmSync(place.keyFile, { recursive: true });
    expect(await Bun.spawn(["mkfifo", "-m", "600", place.keyFile]).exited).toBe(0);
    await expectUnsafe(place, place.keyFile);
    rmSync(place.keysDir, { recursive: true });
    writeFileSync(place.keysDir, "", { mode: 0o600 });
    await expectUnsafe(place, place.keysDir);
  });

  // Only root can give a file to another user.
  test.skipIf(!isRoot)("another user's file or folder is refused, whatever its mode (needs root)", async () => {
    for (const which of ["keyFile", "keysDir", "folder"] as const) {
      const place = await filled();
      chownSync(place[which], 65_534, 65_534);
      // Whose it is stays so: to take it from its owner is no advice.
      expect(await expectUnsafe(place, place[which])).toContain("as user 65534");
      chownSync(place[which], 0, 0);
      expect(await getSecret(open(place), "A")).toBe("value");
    }
  });
});
