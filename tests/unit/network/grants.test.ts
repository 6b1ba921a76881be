// Which targets the granted entries of an attempt cover.
import { describe, expect, test } from "bun:test";
import { findGrant, listLiterals } from "../../../src/plugins/network/grants.ts";
import { parseAuthority } from "../../../src/plugins/network/target.ts";

function covers(entry: string, authority: string): boolean {
  const target = parseAuthority(authority, null);
  if (target === null) throw new Error(`no target: ${authority}`);
  return findGrant([entry], target) === entry;
}

describe("covered", () => {
  const cases: [string, string][] = [
    ["example.com:443", "EXAMPLE.com.:443"],
    ["Example.COM.:443", "example.com:443"],
    ["example.com:*", "example.com:1"],
    ["*.example.com:443", "a.b.example.com:443"],
    ["*.Example.com.:443", "a.example.com:443"],
    ["10.0.0.0/8:5432", "10.9.8.7:5432"],
    ["10.0.0.1:*", "10.0.0.1:9"],
    ["127.0.0.1:80", "[::ffff:127.0.0.1]:80"],
    ["127.0.0.1:80", "0x7f.1:80"],
    ["[::1]:80", "[0::1]:80"],
    ["[fd00::/8]:80", "[fd12::1]:80"],
    ["localhost:80", "LOCALHOST.:80"],
    ["*:*", "example.com:1"],
    ["*:*", "127.0.0.1:1"],
  ];
  for (const [entry, target] of cases) test(`${entry} covers ${target}`, () => expect(covers(entry, target)).toBe(true));
});

describe("not covered", () => {
  const cases: [string, string][] = [
    ["example.com:443", "example.com:80"],
    ["example.com:443", "www.example.com:443"],
    ["*.example.com:443", "example.com:443"],
    ["*.example.com:443", "badexample.com:443"],
    ["example.com:443", "example.com.evil.net:443"],
    ["*.1:80", "10.0.0.1:80"],
    ["*.0.0.1:80", "127.0.0.1:80"],
    ["localhost:80", "127.0.0.1:80"],
    ["127.0.0.1:80", "localhost:80"],
    ["010.0.0.1:80", "8.0.0.1:80"],
    ["010.0.0.1:80", "10.0.0.1:80"],
    ["127.1:80", "127.0.0.1:80"],
    ["0.0.0.0/0:80", "[2606:4700::1]:80"],
    ["10.0.0.0/99:80", "10.0.0.1:80"],
    ["example.com", "example.com:80"],
    ["", "example.com:80"],
  ];
  for (const [entry, target] of cases) test(`"${entry}" does not cover ${target}`, () => expect(covers(entry, target)).toBe(false));
});

test("forwarders are for entries of one host and one port, as written", () => {
  const entries = [
    "DB.example.com:5432",
    "*.a.com:1",
    "b.com:*",
    "10.0.0.0/8:5",
    "10.0.0.1:5",
    "[::1]:6",
    "localhost:7",
    "127.1:9",
    "*:*",
    "b.com:8",
    "b.com:8",
  ];
  expect(listLiterals(entries).map(({ entry }) => entry)).toEqual(["DB.example.com:5432", "10.0.0.1:5", "[::1]:6", "localhost:7", "b.com:8"]);
});
