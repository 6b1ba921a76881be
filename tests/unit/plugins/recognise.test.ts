// Denials found in what programs print: the words of each, checked against what was granted and what is on the disk.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Granted, recogniseDenials } from "../../../src/plugins/invoke/recognise.ts";

let root = "";
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "autokestra-recognise-")));
  for (const folder of ["work", "open", "shut"]) mkdirSync(join(root, folder));
  for (const file of ["open/file", "shut/file", "shut/a b"]) writeFileSync(join(root, file), "");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const granted = (): Granted => ({
  read: [join(root, "open")],
  write: [join(root, "work")],
  network: ["api.example.com:443"],
  cwd: join(root, "work"),
});
const find = (line: string, inputs = "{}") =>
  recogniseDenials(line.replaceAll("ROOT", root).split("\n"), granted(), inputs).map(({ rule, target }) => [rule, target.replace(root, "ROOT")]);

const read = "filesystem.read";
const write = "filesystem.write";
test.each([
  ["cat: ROOT/shut/file: Permission denied", read, "ROOT/shut/file"],
  ["cat: ../shut/file: Permission denied", read, "ROOT/shut/file"],
  ["cat: 'ROOT/shut/a b': Permission denied", read, "ROOT/shut/a b"],
  ["ls: cannot open directory 'ROOT/shut': Permission denied", read, "ROOT/shut"],
  ["sh: 1: cannot create ROOT/open/new: Permission denied", write, "ROOT/open/new"],
  ["bash: line 1: ROOT/shut/new: Permission denied", write, "ROOT/shut/new"],
  ["touch: cannot touch 'ROOT/open/file': Read-only file system", write, "ROOT/open/file"],
  ["mkdir: cannot create directory ‘ROOT/shut/new’: Permission denied", write, "ROOT/shut/new"],
  ["EACCES: permission denied, open 'ROOT/shut/file'", read, "ROOT/shut/file"],
  ["EACCES: permission denied, open 'ROOT/open/file'", write, "ROOT/open/file"],
  ["ENOENT: no such file or directory, open 'ROOT/shut/file'", read, "ROOT/shut/file"],
  ["PermissionError: [Errno 13] Permission denied: 'ROOT/shut/file'", read, "ROOT/shut/file"],
  ["OSError: [Errno 30] Read-only file system: 'ROOT/shut/new'", write, "ROOT/shut/new"],
  ["fatal: could not create work tree dir 'ROOT/shut/repo': Permission denied", write, "ROOT/shut/repo"],
])("%s", (line, rule, target) => {
  expect(find(line)).toEqual([[rule, target]]);
});

test.each([
  ["cat: ROOT/work/file: Permission denied"],
  ["cat: ROOT/shut/none: No such file or directory"],
  ["cat: ROOT/open/none: No such file or directory"],
  ["cat: ROOT/none/none: Permission denied"],
  ["ssh: Permission denied (publickey)"],
  ["Error: something about ROOT/shut/file"],
])("%s is none", (line) => {
  expect(find(line)).toEqual([]);
});

test.each([
  ["curl: (6) Could not resolve host: db.example.com", "db.example.com:443"],
  ["ssh: Could not resolve hostname git.example.com: Temporary failure", "git.example.com:443"],
  ["TypeError: getaddrinfo EAI_AGAIN www.example.com", "www.example.com:443"],
  ["curl: (6) Could not resolve host: other.example.com\nhttp://other.example.com/x", "other.example.com:80"],
])("%s", (line, target) => {
  expect(find(line)).toEqual([["network", target]]);
});

test("the port of an unresolved host comes from the inputs, and granted hosts are no denials", () => {
  expect(find("Could not resolve host: db.example.com", '{"url":"https://db.example.com:8443/"}')).toEqual([["network", "db.example.com:8443"]]);
  expect(find("Could not resolve host: api.example.com")).toEqual([]);
});
