// Which folders inside of a grant are covered, what shows in them, and that without mounts such a grant is refused.
import { expect, test } from "bun:test";
import { masksOf, requireMounts } from "../../../src/plugins/sandbox/masks.ts";

const folders = (...paths: string[]) => paths.map((path) => ({ path, isFolder: true }));

test("a hidden folder that no grant contains is no mask", () => {
  expect(masksOf(["/srv/data"], { read: folders("/srv/project"), write: folders("/srv/data/work/1") })).toEqual([]);
});

test("what is granted inside of a hidden folder shows in its cover, each once", () => {
  const read = folders("/srv", "/srv/data/runtime", "/srv/data/runtime/actions", "/srv/data/work/1/attempts/a/in");
  const write = folders("/srv/data/work/1/attempts/a", "/srv/data/work/1/workspace");
  expect(masksOf(["/srv/data", "/srv/data/work"], { read, write })).toEqual([
    {
      folder: "/srv/data",
      pins: [],
      read: folders("/srv/data/runtime"),
      write: folders("/srv/data/work/1/workspace", "/srv/data/work/1/attempts/a"),
    },
  ]);
});

test("below a tree that may be written the folders above are pinned", () => {
  const [mask] = masksOf(["/srv/a/b/data"], { read: [], write: folders("/srv") });
  expect(mask?.pins).toEqual(["/srv/a", "/srv/a/b"]);
  expect(masksOf(["/srv/a/b/data"], { read: folders("/srv"), write: [] })[0]?.pins).toEqual([]);
});

test("without mounts a grant that contains one is refused, with what it is about", () => {
  const granted = { read: folders("/srv"), write: [] };
  const details = { kind: "filesystem", target: "/srv/data", rule: "filesystem.read", grant: null };
  expect(() => requireMounts(masksOf(["/srv/data"], granted), granted)).toThrow(expect.objectContaining({ code: "PERMISSION_DENIED", details }));
  expect(() => requireMounts(masksOf(["/other"], granted), granted)).not.toThrow();
});
