// Whole files in the style of real ones: what they become, by value, and that no key of them is dropped silently.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Document, isMap, isScalar, isSeq, parseAllDocuments, parseDocument } from "yaml";
import { findCoreAction } from "../../../../src/model/index.ts";
import { type ImportNote, importWorkflow, parseWorkflow } from "../../../../src/workflow/index.ts";
import { definitions, folder, importText, read, short } from "./import-source.ts";

const names = readdirSync(folder).filter((name) => !name.endsWith(".json"));

test("there are enough of each kind", () => {
  const count = (pattern: RegExp) => names.filter((name) => pattern.test(name)).length;
  expect([count(/\.dagu\.yaml$/) >= 4, count(/\.github\.yml$/) >= 5, count(/\.crontab$/) >= 3]).toEqual([true, true, true]);
});

describe("the result is the expected one", () => {
  for (const name of names) {
    test(name, async () => {
      const imported = importText(read(name), name);
      const found = { from: imported.from, definitions: definitions(imported), notes: imported.notes.map(short) };
      const path = join(folder, `${name}.json`);
      expect(JSON.parse(JSON.stringify(found))).toEqual(await Bun.file(path).json());
    });
  }
});

describe("the result is valid, and named as its file", () => {
  for (const name of names) {
    test(name, () => {
      for (const { id, file, source } of importText(read(name), name).workflows) {
        const parsed = parseWorkflow(source, { file, hasFolder: false, findAction: findCoreAction, expectId: id });
        expect(parsed.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
        expect([parsed.definition?.id, file]).toEqual([id, `${id}.yaml`]);
        expect(source.endsWith("\n")).toBe(true);
      }
    });
  }
});

type Key = { path: string; remove: (document: Document) => void };

const plain = /^[A-Za-z_$][\w$-]*$/;

/** All keys of a document with the paths that notes have. */
function keysOf(node: unknown, at: (string | number)[], path: string): Key[] {
  if (isSeq(node)) return node.items.flatMap((item, index) => keysOf(item, [...at, index], `${path}[${index}]`));
  if (!isMap(node)) return [];
  return node.items.flatMap((pair) => {
    const key = isScalar(pair.key) ? String(pair.key.value) : "";
    const named = plain.test(key) ? `${path}${path === "" ? "" : "."}${key}` : `${path}[${JSON.stringify(key)}]`;
    return [{ path: named, remove: (document: Document) => void document.deleteIn([...at, key]) }, ...keysOf(pair.value, [...at, key], named)];
  });
}

/** Exactly this key, or something around it that is not carried over as a whole. */
function isReported(path: string, notes: readonly ImportNote[]): boolean {
  return notes.some((note) => {
    if (note.path === path) return true;
    const isAround = note.path !== "" && path.startsWith(note.path) && /^[.[]/.test(path.slice(note.path.length));
    return isAround && note.severity === "warning" && /not carried over|no equivalent|does not start|switched off/.test(note.message);
  });
}

/** Keys that say what is so anyway. */
const needless: Record<string, string[]> = {
  "ci.github.yml": [
    "on.workflow_dispatch.inputs.verbose.default",
    "on.workflow_dispatch.inputs.level.type",
    "defaults",
    "defaults.run",
    "defaults.run.shell",
  ],
  "deploy.github.yml": ["on", "on.workflow_dispatch", "jobs.check.steps[1].id"],
  "chain.dagu.yaml": ["type"],
  "etl.dagu.yaml": ["type"],
};

function sourcesOf(text: string, from: "dagu" | "github"): string {
  try {
    return JSON.stringify(importWorkflow(text, { file: "x.yaml", from }).workflows.map(({ source }) => source));
  } catch {
    return "refused";
  }
}

describe("every key is carried over or reported: without it the result is another one, or a note names it", () => {
  for (const name of names.filter((one) => !one.endsWith(".crontab"))) {
    test(name, () => {
      const [text = ""] = read(name).split("\n---\n");
      const from = name.includes(".dagu.") ? ("dagu" as const) : ("github" as const);
      const { notes } = importWorkflow(text, { file: "x.yaml", from });
      const whole = sourcesOf(text, from);
      const silent = keysOf(parseDocument(text).contents, [], "").filter(({ path, remove }) => {
        if (isReported(path, notes)) return false;
        const without = parseDocument(text);
        remove(without);
        return sourcesOf(String(without), from) === whole;
      });
      expect(silent.map(({ path }) => path)).toEqual(needless[name] ?? []);
      expect(parseAllDocuments(text).length).toBe(1);
    });
  }
});

test("every line of a crontab is carried over or reported", () => {
  for (const name of names.filter((one) => one.endsWith(".crontab"))) {
    const lines = read(name).split("\n");
    const imported = importText(read(name), name);
    const reported = new Set(imported.notes.map(({ line }) => line));
    const all = imported.workflows.map(({ source }) => source).join("");
    lines.forEach((line, index) => {
      if (line.trim() === "" || line.startsWith("#")) return;
      const without = importWorkflow(lines.toSpliced(index, 1).join("\n"), { file: name, from: "cron" });
      const isCarried = without.workflows.map(({ source }) => source).join("") !== all;
      expect({ name, line, known: isCarried || reported.has(index + 1) }).toEqual({ name, line, known: true });
    });
  }
});
