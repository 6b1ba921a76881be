// Where file triggers look, and what they find there.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { lookAt, placesOf, seeAgain } from "../../../src/app/triggers/watched-places.ts";
import { limits } from "../../../src/base/index.ts";

let root: string;
const at = (name: string) => join(root, name);
const places = (...paths: string[]) => placesOf({ id: "t", type: "file", paths, settleMs: 0, inputs: {} }, root);
const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (cause) {
    return (cause as { code?: string }).code;
  }
};

async function found(...paths: string[]): Promise<string[]> {
  const { files, problems } = await lookAt(places(...paths));
  return [...[...files.keys()].map((path) => relative(root, path)), ...problems.map(({ code }) => code)].toSorted();
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "places-"));
  for (const folder of ["in/sub/deep", "in/.git", "in/x.csv", "away"]) mkdirSync(at(folder), { recursive: true });
  for (const file of ["in/a.csv", "in/b.txt", "in/.c.csv", "in/sub/d.csv", "in/sub/deep/e.csv", "in/.git/f.csv", "away/g.csv", "in/x.csv/h.csv"])
    writeFileSync(at(file), file);
  symlinkSync(at("away/g.csv"), at("in/link.csv"));
  symlinkSync(at("away"), at("in/linked"));
  symlinkSync(at("in/nothing"), at("in/broken.csv"));
  symlinkSync(at("in"), at("named"));
});
afterAll(() => rmSync(root, { recursive: true }));

describe("places", () => {
  const cases: [string, string[]][] = [
    ["in", ["in/a.csv", "in/b.txt"]],
    ["in/", ["in/a.csv", "in/b.txt"]],
    ["./in/../in/*.csv", ["in/a.csv"]],
    ["in/a.csv", ["in/a.csv"]],
    ["in/*", ["in/a.csv", "in/b.txt"]],
    ["in/{a,b}.*", ["in/a.csv", "in/b.txt"]],
    ["in/[ab].???", ["in/a.csv", "in/b.txt"]],
    ["*/*.csv", ["away/g.csv", "in/a.csv"]],
    ["in/*/*.csv", ["in/sub/d.csv", "in/x.csv/h.csv"]],
    ["in/**/*.csv", ["in/a.csv", "in/sub/d.csv", "in/sub/deep/e.csv", "in/x.csv/h.csv"]],
    ["in/.*.csv", ["in/.c.csv"]],
    ["in/link.csv", ["FILE_NOT_FOUND"]],
    ["in/linked/*.csv", ["in/linked/g.csv"]],
    ["named/*.csv", ["named/a.csv"]],
    ["in/none.csv", []],
    ["none/a.csv", ["FILE_NOT_FOUND"]],
    ["none", ["FILE_NOT_FOUND"]],
    ["none/*.csv", ["FILE_NOT_FOUND"]],
    ["in/none-*.csv", []],
  ];
  test.each(cases)("%s", async (path, expected) => void expect(await found(path)).toEqual(expected));

  test("of several places each file once, and what is wrong with one leaves the others", async () => {
    expect(await found("in/a.csv", "in/*.csv", "none", at("away"))).toEqual(["FILE_NOT_FOUND", "away/g.csv", "in/a.csv"]);
  });

  test("a relative path needs the workflow's folder", () => {
    const trigger = { id: "t", type: "file" as const, settleMs: 0, inputs: {} };
    expect(codeOf(() => placesOf({ ...trigger, paths: ["in"] }, null))).toBe("FILE_NOT_FOUND");
    expect(placesOf({ ...trigger, paths: ["/in/*.csv"] }, null)).toEqual([{ base: "/in", pattern: "*.csv" }]);
  });

  test("too many files are a problem of their place", async () => {
    mkdirSync(at("many"));
    writeFileSync(at("many/0"), "");
    for (let index = 1; index <= limits.watchedFilesMax; index += 1) linkSync(at("many/0"), at(`many/${index}`));
    expect(await found("many/*", "in/a.csv")).toEqual(["TOO_LARGE", "in/a.csv"]);
    expect(await found("many/1*0")).not.toContain("TOO_LARGE");
    rmSync(at("many"), { recursive: true });
  });
});

test("a version is another one when the file was written, touched or replaced, and the same otherwise", async () => {
  const path = at("version");
  const versions: (string | undefined)[] = [];
  const look = async () => void versions.push((await seeAgain(path))?.version);
  writeFileSync(path, "one");
  await look();
  await look();
  utimesSync(path, 1000, 1000);
  await look();
  writeFileSync(at("other"), "one");
  utimesSync(at("other"), 1000, 1000);
  renameSync(at("other"), path);
  await look();
  writeFileSync(path, "more than one");
  utimesSync(path, 1000, 1000);
  await look();
  rmSync(path);
  await look();
  expect(versions[0]).toBe(versions[1]);
  expect(new Set(versions.slice(1)).size).toBe(5);
  expect(versions[5]).toBeUndefined();
});
