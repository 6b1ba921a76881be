// core/csv.*: dialects, types, parts of large files, and the way back.
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { array, assert, asyncProperty, string, tuple } from "fast-check";
import { readCsv } from "../../../src/actions/csv/read.ts";
import { writeCsv } from "../../../src/actions/csv/write.ts";
import { codeOf, useFolders } from "./folders.ts";

const folders = useFolders();

test("rows come as objects with the declared types", async () => {
  const text = '\uFEFFname,age,ok,note\r\n"O\'Hara, ""Bo""",41,true,"two\nlines"\r\nLi,,false,\r\n';
  expect(await readCsv({ text, types: { age: "integer", ok: "boolean" } })).toEqual({
    columns: ["name", "age", "ok", "note"],
    rows: [
      { name: 'O\'Hara, "Bo"', age: 41, ok: true, note: "two\nlines" },
      { name: "Li", age: null, ok: false, note: "" },
    ],
    count: 2,
    truncated: false,
  });
});

test("a file is read in parts, and other delimiters are found", async () => {
  const { workspace } = folders();
  writeFileSync(join(workspace, "n.csv"), `n;m\n${Array.from({ length: 50_000 }, (_, index) => `${index};x`).join("\n")}\n`);
  const part = await readCsv({ path: "n.csv", offset: 10, limit: 2, types: { n: "number" } });
  expect(part).toEqual({
    columns: ["n", "m"],
    rows: [
      { n: 10, m: "x" },
      { n: 11, m: "x" },
    ],
    count: 2,
    truncated: true,
  });
  expect(await codeOf(readCsv({ path: "n.csv" }))).toBe("TOO_LARGE");
  expect(await readCsv({ text: "a|b\n1|2", header: false, delimiter: "|" })).toEqual({
    columns: [],
    rows: [
      ["a", "b"],
      ["1", "2"],
    ],
    count: 2,
    truncated: false,
  });
});

test("what is no CSV is refused with its record", async () => {
  expect(await codeOf(readCsv({ text: "a,b\n1\n" }))).toBe("TASK_FAILED");
  expect(await codeOf(readCsv({ text: 'a,b\n"1,2\n' }))).toBe("TASK_FAILED");
  expect(await codeOf(readCsv({ text: "a,a\n1,2\n" }))).toBe("TASK_FAILED");
  expect(await codeOf(readCsv({ text: "a\nx\n", types: { a: "number" } }))).toBe("TASK_FAILED");
  expect(await codeOf(readCsv({ text: "a\n9007199254740993\n", types: { a: "integer" } }))).toBe("TASK_FAILED");
  expect(await codeOf(readCsv({}))).toBe("TASK_INPUT_INVALID");
  expect(await codeOf(readCsv({ path: "none.csv" }))).toBe("FILE_NOT_FOUND");
  expect((await readCsv({ text: "__proto__,b\n1,2\n" }))["rows"]).toEqual([
    Object.fromEntries([
      ["__proto__", "1"],
      ["b", "2"],
    ]),
  ]);
});

test("rows are written, appended without a second head, and given as text", async () => {
  const { workspace } = folders();
  await writeCsv({ path: "o/out.csv", rows: [{ a: 1, b: "x,y" }] });
  await writeCsv({ path: "o/out.csv", rows: [{ b: 'q"', a: null }], columns: ["a", "b"], append: true });
  expect(readFileSync(join(workspace, "o/out.csv"), "utf8")).toBe('a,b\n1,"x,y"\n,"q"""\n');
  expect(
    await writeCsv({
      rows: [
        [1, true],
        ["=1+1", { k: 1 }],
      ],
      delimiter: ";",
      escapeFormulas: true,
    }),
  ).toEqual({
    text: '1;true\n"\'=1+1";"{""k"":1}"\n',
    rows: 2,
  });
  expect(await codeOf(writeCsv({ rows: [{ a: 1 }, "x"] }))).toBe("TASK_INPUT_INVALID");
});

test("what is written reads back as it was", async () => {
  const field = string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter(
    (text) => text.trim() !== "" && !text.includes("\uFEFF") && !text.includes("\r"),
  );
  await assert(
    asyncProperty(array(tuple(field, field), { minLength: 1, maxLength: 5 }), async (pairs) => {
      const rows = pairs.map(([left, right]) => ({ left, right }));
      const { text } = (await writeCsv({ rows })) as { text: string };
      expect((await readCsv({ text, delimiter: "," }))["rows"]).toEqual(rows);
    }),
    { numRuns: 100 },
  );
});
