// Denials found in what programs print: the words of each, checked against what was granted and what is on the disk.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Granted, recogniseDenials } from "../../../src/plugins/invoke/recognise.ts";

let root = "";
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "autokestra-recognise-")));
  for (const folder of ["work", "open", "open/data", "shut"]) mkdirSync(join(root, folder));
  for (const file of ["open/file", "open/data/db", "shut/file", "shut/a b"]) writeFileSync(join(root, file), "");
  symlinkSync(join(root, "shut/file"), join(root, "work/link"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const granted = (): Granted => ({
  read: [join(root, "open")],
  write: [join(root, "work")],
  hidden: [join(root, "open/data")],
  network: ["api.example.com:443"],
  cwd: join(root, "work"),
  user: null,
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
  ["error: could not lock config file ROOT/shut/file: Permission denied", write, "ROOT/shut/file"],
  ["main.sh: 2: cannot open ROOT/shut/file: Permission denied", read, "ROOT/shut/file"],
  ["main.sh: 2: cannot create ROOT/shut/new: Directory nonexistent", write, "ROOT/shut/new"],
  ["main.sh: line 3: ROOT/shut/file: Permission denied", read, "ROOT/shut/file"],
  ["main.sh: 14: ROOT/shut/file: Permission denied", read, "ROOT/shut/file"],
  ["rm: cannot remove 'ROOT/shut/file': Permission denied", write, "ROOT/shut/file"],
  ["rm: cannot remove 'ROOT/shut/file': No such file or directory", write, "ROOT/shut/file"],
  ["chmod: changing permissions of 'ROOT/open/file': Read-only file system", write, "ROOT/open/file"],
  ["ln: failed to create hard link 'made' => 'ROOT/shut/file': Invalid cross-device link", read, "ROOT/shut/file"],
  ["ln: failed to create hard link 'made' => 'ROOT/open/file': Permission denied", write, "ROOT/open/file"],
  ["mv: cannot move 'ROOT/shut/file' to 'made': Permission denied", write, "ROOT/shut/file"],
  ["cp: cannot create regular file 'ROOT/open/file': Read-only file system", write, "ROOT/open/file"],
  ["cp: cannot open 'ROOT/shut/file' for reading: Permission denied", read, "ROOT/shut/file"],
  ["tee: ROOT/shut/file: Permission denied", write, "ROOT/shut/file"],
  ["sed: can't read ROOT/shut/file: No such file or directory", read, "ROOT/shut/file"],
  ["EXDEV: cross-device link not permitted, link 'ROOT/shut/file' -> 'ROOT/work/hard'", read, "ROOT/shut/file"],
  ["Error: EACCES: permission denied, unlink 'ROOT/shut/file'", write, "ROOT/shut/file"],
  ["EACCES: permission denied, open 'ROOT/work/link'", read, "ROOT/shut/file"],
  ["cat: link: Permission denied", read, "ROOT/shut/file"],
  ["PermissionError: [Errno 1] Operation not permitted: 'ROOT/shut/file' -> 'ROOT/work/hard'", read, "ROOT/shut/file"],
  ["open ROOT/shut/file: permission denied", read, "ROOT/shut/file"],
  ["mkdir ROOT/shut/new: permission denied", write, "ROOT/shut/new"],
  ["Warning: Failed to open the file ROOT/shut/file: Permission denied", read, "ROOT/shut/file"],
  ["cat: ROOT/open/data/db: No such file or directory", read, "ROOT/open/data/db"],
  ["sh: 1: cannot create ROOT/open/data/db: Read-only file system", write, "ROOT/open/data/db"],
  ["cat: /proc/1/environ: Permission denied", read, "/proc/1/environ"],
])("%s", (line, rule, target) => {
  expect(find(line)).toEqual([[rule, target]]);
});

test.each([
  ["cat: ROOT/work/file: Permission denied"],
  ["cat: ROOT/shut/none: No such file or directory"],
  ["cat: ROOT/open/none: No such file or directory"],
  ["cat: ROOT/none/none: Permission denied"],
  ["ssh: Permission denied (publickey)"],
  ["Error: connect EACCES 127.0.0.1:5432 - Local (undefined:undefined)"],
  ["PermissionError: [Errno 13] Permission denied"],
  ["bash: connect: Permission denied"],
  ["bash: line 1: /dev/tcp/127.0.0.1/80: Permission denied"],
  ["main.sh: 30: kill: Operation not permitted"],
  ["rm: cannot remove 'ROOT/shut/none': No such file or directory"],
  ["bash: line 1: ROOT/open/file: Permission denied"],
  ["cat: ROOT/open/file: Permission denied"],
  ["EACCES: permission denied, posix_spawn '/usr/bin/env'"],
  ["Error: Permission denied for the user 'nobody'"],
  ["Error: something about ROOT/shut/file"],
])("%s is none", (line) => {
  expect(find(line)).toEqual([]);
});

test.each([
  ["curl: (6) Could not resolve host: db.example.com", "db.example.com:443"],
  ["ssh: Could not resolve hostname git.example.com: Temporary failure", "git.example.com:22"],
  ["TypeError: getaddrinfo EAI_AGAIN www.example.com", "www.example.com:443"],
  ['Get "http://db.example.com": dial tcp: lookup db.example.com: no such host', "db.example.com:80"],
  ['psql: error: could not translate host name "db.example.com" to address: Try again', "db.example.com:5432"],
  ["curl: (6) Could not resolve host: other.example.com\nhttp://other.example.com/x", "other.example.com:80"],
])("%s", (line, target) => {
  expect(find(line)).toEqual([["network", target]]);
});

test("the port of an unresolved host comes from the inputs, and granted hosts are no denials", () => {
  expect(find("Could not resolve host: db.example.com", '{"url":"https://db.example.com:8443/"}')).toEqual([["network", "db.example.com:8443"]]);
  expect(find("Could not resolve host: db.example.com", "connect('db.example.com:7000')")).toEqual([["network", "db.example.com:7000"]]);
  expect(find("curl: (6) Could not resolve host: db.example.com", "curl -sS db.example.com/x")).toEqual([["network", "db.example.com:80"]]);
  expect(find("socket.gaierror: [Errno -3] Temporary failure in name resolution", "urlopen('http://db.example.com/')")).toEqual([
    ["network", "db.example.com:80"],
  ]);
  expect(find("Could not resolve host: api.example.com")).toEqual([]);
});

test("a link is followed only where the task may read it: elsewhere its path is told as it was spelled", () => {
  symlinkSync(join(root, "shut/file"), join(root, "shut/link"));
  symlinkSync(join(root, "shut/link"), join(root, "work/chain"));
  symlinkSync("/proc/self/root", join(root, "work/root"));
  expect(find("cat: ROOT/shut/link: Permission denied")).toEqual([[read, "ROOT/shut/link"]]);
  expect(find("cat: ROOT/work/chain: Permission denied")).toEqual([[read, "ROOT/shut/link"]]);
  expect(find("cat: /proc/self/root/ROOT/shut/link: Permission denied")).toEqual([[read, `/proc/self/root${root}/shut/link`.replace(root, "ROOT")]]);
  expect(find("cat: ROOT/work/root/shut/link: Permission denied")).toEqual([[read, "/proc/self/root/shut/link"]]);
  expect(find("cat: /dev/fd/0: Permission denied")).toEqual([]);
});
