// Addresses and targets of the egress proxy: one meaning for every spelling, and which addresses are nobody's public ones.
import { describe, expect, test } from "bun:test";
import { formatAddress, isInRange, isSpecialAddress, parseAddress, parseRange } from "../../../src/plugins/network/address.ts";
import { formatTarget, parseAuthority } from "../../../src/plugins/network/target.ts";

function spell(authority: string): string | null {
  const target = parseAuthority(authority, null);
  return target === null ? null : `${target.address === null ? "name" : "address"} ${formatTarget(target)}`;
}

describe("targets", () => {
  const cases: [string, string | null][] = [
    ["example.com:443", "name example.com:443"],
    ["EXAMPLE.Com.:443", "name example.com:443"],
    ["my_host-1:0443", "name my_host-1:443"],
    ["127.0.0.1:80", "address 127.0.0.1:80"],
    ["127.0.0.1.:80", "address 127.0.0.1:80"],
    ["127.1:80", "address 127.0.0.1:80"],
    ["0x7f.1:80", "address 127.0.0.1:80"],
    ["0X7F000001:80", "address 127.0.0.1:80"],
    ["2130706433:80", "address 127.0.0.1:80"],
    ["0177.0.0.01:80", "address 127.0.0.1:80"],
    ["0:80", "address 0.0.0.0:80"],
    ["[::1]:80", "address [::1]:80"],
    ["[0:0:0::0001]:80", "address [::1]:80"],
    ["[2001:DB8:0:0:1::]:80", "address [2001:db8:0:0:1::]:80"],
    ["[::ffff:127.0.0.1]:80", "address 127.0.0.1:80"],
    ["[::FFFF:7f00:1]:80", "address 127.0.0.1:80"],
    ["[fe80::1%eth0]:80", null],
    ["[127.0.0.1]:80", null],
    ["::1:80", null],
    ["256.1.1.1:80", null],
    ["1.2.3.4.5:80", null],
    ["a.0x:80", null],
    ["4294967296:80", null],
    ["exa mple:80", null],
    ["%31%32%37.1:80", null],
    ["ex%61mple.com:80", null],
    ["ａ.com:80", null],
    ["a..b:80", null],
    ["*.example.com:80", null],
    [".:80", null],
    [":80", null],
    ["example.com", null],
    ["example.com:", null],
    ["example.com:0", null],
    ["example.com:65536", null],
    ["user@example.com:80", null],
    [`${"a".repeat(64)}.com:80`, null],
    [`${"a.".repeat(130)}com:80`, null],
  ];
  for (const [text, expected] of cases) test(text.slice(0, 60), () => expect(spell(text)).toBe(expected));
});

describe("special addresses", () => {
  const special = (text: string): boolean => {
    const address = parseAddress(text);
    if (address === null) throw new Error(`not an address: ${text}`);
    return isSpecialAddress(address);
  };
  const closed = `
    0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.1 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 fc00::1 fd12::1 fe80::1 fec0::1 ff02::1
    2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fd00:ec2::254`.match(/\S+/g);
  for (const text of closed ?? []) test(`${text} is special`, () => expect(special(text)).toBe(true));
  const open = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255"];
  const open6 = ["2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "2003::1", "2001:4860:4860::8888"];
  for (const text of [...open, ...open6]) test(`${text} is public`, () => expect(special(text)).toBe(false));
});

describe("ranges", () => {
  const holds = (range: string, address: string): boolean | null => {
    const [a, b] = [parseRange(range), parseAddress(address)];
    return a === null || b === null ? null : isInRange(b, a);
  };
  test("prefixes of both families", () => {
    expect(holds("10.0.0.0/8", "10.255.0.1")).toBe(true);
    expect(holds("10.0.0.0/8", "11.0.0.1")).toBe(false);
    expect(holds("0.0.0.0/0", "1.2.3.4")).toBe(true);
    expect(holds("0.0.0.0/0", "::1")).toBe(false);
    expect(holds("10.0.0.1", "10.0.0.1")).toBe(true);
    expect(holds("fd00::/8", "fdff::1")).toBe(true);
    expect(holds("fd00::/8", "fe00::1")).toBe(false);
    expect(holds("::/0", "::ffff:1.2.3.4")).toBe(false);
  });

  test("what is no range", () => {
    for (const text of ["10.0.0.0/33", "10.0.0.0/8/8", "fd00::/129", "::ffff:10.0.0.0/104", "10.0.0.0/", "10.0.0/8", "a/8", "010.0.0.0/8"]) {
      expect([text, parseRange(text)]).toEqual([text, null]);
    }
  });

  test("formatting shortens IPv6", () => {
    const address = parseAddress("2001:0db8:0000:0000:0000:0000:0000:0001");
    expect(address === null ? "" : formatAddress(address)).toBe("2001:db8::1");
  });
});
