// Line differences: both texts can be read back from them, and hunks say where they are.
import { expect, test } from "bun:test";
import { array, assert, constantFrom, property } from "fast-check";
import { diffLines, groupHunks } from "../../../src/cli/line-diff.ts";

const side = (changes: ReturnType<typeof diffLines>, without: "removed" | "added") =>
  changes.filter((change) => change.kind !== without).map((change) => change.line);

test("both texts can be read back", () => {
  const text = array(constantFrom("a", "b", "c", ""), { maxLength: 12 });
  assert(
    property(text, text, (before, after) => {
      // An empty last line cannot be told from the end of the text, so every line is closed.
      const changes = diffLines(before.map((line) => `${line}\n`).join(""), after.map((line) => `${line}\n`).join(""));
      expect(side(changes, "added")).toEqual(before);
      expect(side(changes, "removed")).toEqual(after);
    }),
  );
});

test("is the shortest", () => {
  const changes = diffLines("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n");
  expect(changes.filter((change) => change.kind !== "same")).toHaveLength(5);
});

test("groups changes into hunks with their places", () => {
  const before = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
  const after = before.with(1, "second").with(17, "eighteenth");
  const hunks = groupHunks(diffLines(before.join("\n"), after.join("\n")), 2);
  expect(hunks.map((hunk) => hunk.header)).toEqual(["@@ -1,4 +1,4 @@", "@@ -16,5 +16,5 @@"]);
  expect(groupHunks(diffLines(before.join("\n"), after.join("\n")), 10)).toHaveLength(1);
  expect(groupHunks(diffLines("a\n", "a\n"), 3)).toEqual([]);
});
