// Reading what the keeper tells.

import { describe, expect, test } from "bun:test";
import { NoticeReader } from "../../../src/plugins/sandbox/index.ts";
import type { KeeperRule } from "../../../src/plugins/sandbox/index.ts";

const rules: KeeperRule[] = [
  { call: "connect", action: "connect", errno: 13 },
  { call: "openat", action: "see", errno: 0, folder: 0, path: 1, value: 2 },
  { call: "ptrace", action: "deny", errno: 1 },
  { call: "clone", action: "deny", errno: 1, value: 0 },
];

function record(
  rule: number,
  { text = Buffer.alloc(0), value = 0, found = 0, lost = 0 }: { text?: Uint8Array; value?: number; found?: number; lost?: number },
): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(32 + text.length, 0);
  head.writeUInt32LE(rule, 4);
  head.writeUInt32LE(lost, 12);
  head.writeUInt32LE(value, 16);
  head.writeUInt32LE(found, 24);
  return Buffer.concat([head, text]);
}

const inet = (bytes: number[], port: number) => Buffer.from([2, 0, port >> 8, port & 255, ...bytes, 0, 0, 0, 0, 0, 0, 0, 0]);

describe("NoticeReader", () => {
  test("reads records in any portions", () => {
    const bytes = Buffer.concat([record(2, {}), record(0, { text: inet([10, 0, 0, 1], 5432) })]);
    const reader = new NoticeReader(rules, "enforce");
    const got = [...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    expect(got.map(({ call, target }) => [call, target])).toEqual([
      ["ptrace", null],
      ["connect", "10.0.0.1:5432"],
    ]);
  });

  test("writes addresses as people do", () => {
    const targetOf = (text: Buffer) => new NoticeReader(rules, "enforce").push(record(0, { text })).map(({ target }) => target);
    const six = Buffer.concat([Buffer.from([10, 0, 0, 80, 0, 0, 0, 0]), Buffer.alloc(15), Buffer.from([1, 0, 0, 0, 0])]);
    expect(targetOf(six)).toEqual(["[::1]:80"]);
    expect(targetOf(Buffer.from("\x01\0/run/docker.sock\0rest"))).toEqual(["unix:/run/docker.sock"]);
    expect(targetOf(Buffer.from("\x01\0\0name"))).toEqual(["unix:@name"]);
    expect(targetOf(Buffer.from("\x01\0/var/run/nscd/socket\0"))).toEqual([]);
    expect(targetOf(Buffer.from([9, 9, 9]))).toEqual([null]);
  });

  test("tells reading from writing, and leaves out what was looked for in vain", () => {
    const seen = (value: number, found: number) => new NoticeReader(rules, "observe").push(record(1, { text: Buffer.from("/a/../b"), value, found }));
    expect(seen(0, 1)).toEqual([{ denied: false, call: "openat", kind: "filesystem", target: "/b", access: "read" }]);
    expect(seen(0, 0)).toEqual([]);
    for (const flags of [1, 2, 0o100, 0o1000]) expect(seen(flags, 0)[0]?.access).toBe("write");
  });

  test("names sockets by what they are for", () => {
    const sockets: KeeperRule[] = [{ call: "socket", action: "socket", errno: 13 }];
    const targetOf = (domain: number, kind: number) => {
      const bytes = record(0, { value: kind });
      bytes.writeUInt32LE(domain, 20);
      return new NoticeReader(sockets, "enforce").push(bytes)[0]?.target;
    };
    expect([targetOf(2, 2), targetOf(10, 0o2000002), targetOf(2, 3), targetOf(2, 1), targetOf(1, 2), targetOf(17, 3)]).toEqual([
      "udp",
      "udp",
      "raw",
      "tcp",
      "unix",
      "family 17",
    ]);
  });

  test("tells new namespaces from new processes", () => {
    const kinds = [0x11, 0x10000011].map((value) => new NoticeReader(rules, "enforce").push(record(3, { value }))[0]?.kind);
    expect(kinds).toEqual(["run", "syscall"]);
  });

  test("stops at what cannot be a record", () => {
    const reader = new NoticeReader(rules, "enforce");
    expect(reader.push(Buffer.alloc(64))).toEqual([]);
    expect(reader.push(Buffer.alloc(64, 255))).toEqual([]);
  });
});
