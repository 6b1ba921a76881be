// Masking by example: forms, overlaps, JSON, tails, streams. What holds for any value is in masker-properties.test.ts.
import { describe, expect, test } from "bun:test";
import type { Json } from "../../../src/base/index.ts";
import { Masker } from "../../../src/secrets/index.ts";

function maskerOf(...values: string[]): Masker {
  const masker = new Masker();
  masker.add(values);
  return masker;
}

const secret = 'p@ss "wörd"/\\it\'s+100% <&>';

describe("[WF-09] forms of a value", () => {
  const bytes = Buffer.from(secret);
  const pairs = bytes.toString("hex").match(/../g) ?? [];
  const wrapped = (text: string, width: number): string => (text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join("\n");
  const forms: Record<string, string> = {
    raw: secret,
    json: '"p@ss \\"wörd\\"/\\\\it\'s+100% <&>"',
    "json, ascii": 'p@ss \\"w\\u00f6rd\\"/\\\\it\'s+100% <&>',
    "json, ascii, upper": 'p@ss \\"w\\u00F6rd\\"/\\\\it\'s+100% <&>',
    "json, slashes": 'p@ss \\"wörd\\"\\/\\\\it\'s+100% <&>',
    "json, PHP": 'p@ss \\"w\\u00f6rd\\"\\/\\\\it\'s+100% <&>',
    "json, Go": 'p@ss \\"wörd\\"/\\\\it\'s+100% \\u003c\\u0026\\u003e',
    "json twice": JSON.stringify(JSON.stringify({ secret })),
    "url component": "p%40ss%20%22w%C3%B6rd%22%2F%5Cit's%2B100%25%20%3C%26%3E",
    "url, lower": "p%40ss%20%22w%c3%b6rd%22%2f%5cit's%2b100%25%20%3c%26%3e",
    "url, RFC 3986": "p%40ss%20%22w%C3%B6rd%22%2F%5Cit%27s%2B100%25%20%3C%26%3E",
    "url, Python": "p%40ss%20%22w%C3%B6rd%22/%5Cit%27s%2B100%25%20%3C%26%3E",
    form: new URLSearchParams([["a", secret]]).toString().slice(2),
    "every byte": pairs.map((pair) => `%${pair}`).join(""),
    "every byte, upper": pairs.map((pair) => `%${pair.toUpperCase()}`).join(""),
    base64: bytes.toString("base64"),
    base64url: bytes.toString("base64url"),
    "base64 in a URL": encodeURIComponent(bytes.toString("base64")),
    hex: bytes.toString("hex"),
    "hex, upper": bytes.toString("hex").toUpperCase(),
    "hex, colons": pairs.join(":"),
    "hex, blanks": pairs.join(" "),
    "hex, \\x": pairs.map((pair) => `\\x${pair}`).join(""),
    "hex, 0x": pairs.map((pair) => `0x${pair}`).join(", "),
    numbers: JSON.stringify([...bytes]).slice(1, -1),
    html: "p@ss &quot;wörd&quot;/\\it&#39;s+100% &lt;&amp;&gt;",
    "html, Python": "p@ss &quot;wörd&quot;/\\it&#x27;s+100% &lt;&amp;&gt;",
    "html, Go": "p@ss &#34;wörd&#34;/\\it&#39;s+100% &lt;&amp;&gt;",
    xml: 'p@ss "wörd"/\\it\'s+100% &lt;&amp;>',
    "html, decimal": [...secret].map((char) => `&#${char.codePointAt(0)};`).join(""),
    "shell, single quotes": "p@ss \"wörd\"/\\it'\\''s+100% <&>",
    "shell, printf %q": 'p@ss\\ \\"wörd\\"/\\\\it\\\'s+100%\\ \\<\\&\\>',
    "shell, double quotes": 'p@ss \\"wörd\\"/\\\\it\'s+100% <&>',
    sql: "p@ss \"wörd\"/\\it''s+100% <&>",
    csv: 'p@ss ""wörd""/\\it\'s+100% <&>',
    "Python repr": 'p@ss "wörd"/\\\\it\\\'s+100% <&>',
    "Python bytes": 'p@ss "w\\xc3\\xb6rd"/\\\\it\\\'s+100% <&>',
    "Python ascii": 'p@ss "w\\xf6rd"/\\\\it\\\'s+100% <&>',
    "bash $''": 'p@ss "w\\303\\266rd"/\\\\it\\\'s+100% <&>',
    "Node inspect": Bun.inspect({ a: secret }).split('a: "')[1]?.split('",\n')[0] ?? "",
    reversed: [...secret].toReversed().join(""),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(`${name} is masked`, () => {
      expect(form.length).toBeGreaterThan(10);
      const bare = form.replace(/^"|"$/g, "");
      expect(maskerOf(secret).text(`<${bare}>`)).not.toContain(name === "json twice" ? "ss" : bare);
      if (name !== "json twice") expect(maskerOf(secret).text(`<${bare}>`)).toBe("<***>");
    });
  }

  test("base64 of a text around it shows nothing that depends on the value alone", () => {
    for (const before of ["", "u", "us", "user:", "user1:", "user12:"]) {
      for (const after of ["", "\n", ":x", "-yz"]) {
        for (const encoding of ["base64", "base64url"] as const) {
          const text = Buffer.from(before + secret + after).toString(encoding);
          const masked = maskerOf(secret).text(`Authorization: Basic ${text}`);
          const [head = "", tail = ""] = masked.slice("Authorization: Basic ".length).split("***");
          expect(text.startsWith(head) && text.endsWith(tail)).toBe(true);
          // At most the characters that bits of the neighbours decide too.
          expect(head.length).toBeLessThanOrEqual(Math.ceil((before.length * 8) / 6));
          expect(tail.length).toBeLessThanOrEqual(Math.ceil((after.length * 8) / 6) + 4);
        }
      }
    }
  });

  test("wrapped base64 and xxd -p show nothing", () => {
    const long = Array.from({ length: 40 }, (_, place) => `secret part ${place};`).join("");
    for (const width of [76, 64]) {
      const text = wrapped(Buffer.from(long).toString("base64"), width);
      expect(maskerOf(long).text(text)).toBe("***");
      expect(maskerOf(long).text(text.replaceAll("\n", "\r\n"))).toBe("***");
      const each = text.split("\n").map((line) => maskerOf(long).text(line));
      expect(new Set(each.slice(0, -1))).toEqual(new Set(["***"]));
    }
    expect(maskerOf(long).text(wrapped(Buffer.from(long).toString("hex"), 60))).toMatch(/^(\*\*\*\n)+\*\*\*$/);
  });

  test("base32", () => {
    // RFC 4648's own example, made longer.
    expect(maskerOf("foobar").text("<MZXW6YTBOI======> <MZXW6YTBOI> <mzxw6ytboi>")).toBe("<***> <***> <***>");
  });

  test("lines of a value are values; brackets alone are not", () => {
    const json = '{\n  "type": "account",\n  "key": "s3cr3t-value"\n},\n\n    }\n';
    const masker = maskerOf(json);
    expect(masker.text('x "key": "s3cr3t-value" y')).toBe("x *** y");
    expect(masker.text(Buffer.from('"key": "s3cr3t-value"').toString("base64"))).toBe("***");
    expect(masker.text("a },\n }")).toBe("a },\n }");
    expect(maskerOf("secret-with-newline\n").text("secret-with-newline")).toBe("***");
  });

  test("bytes that are no text are masked as base64, and as what encoders make of the bytes", () => {
    const binary = Buffer.from("fbff00c3e1d2a4b5968778695a4b3c", "hex");
    const masker = maskerOf(binary.toString("base64"));
    for (const encoding of ["base64", "base64url", "hex"] as const) expect(masker.text(`<${binary.toString(encoding)}>`)).toBe("<***>");
    expect(masker.text(Buffer.concat([Buffer.from("x"), binary]).toString("base64")).length).toBeLessThan(6);
  });

  test("encoded forms of less than six characters are no forms", () => {
    const masker = maskerOf("abcd");
    // The middle of base64 of "?abcd??": "FiY2" and one more character depend on the value alone.
    const text = Buffer.from("?abcd??").toString("base64");
    expect(masker.text(text)).toBe(text);
    expect(masker.text("YWJjZA== YWJjZA")).toBe("*** ***");
  });
});

describe("[WF-09] masks", () => {
  test("values of less than four bytes are left out", () => {
    const masker = new Masker();
    expect(masker.add(["abc", "é1", ""])).toBe(false);
    expect(masker.isEmpty).toBe(true);
    expect(masker.add(["éé"])).toBe(true);
    expect(masker.add(["éé", "abc"])).toBe(false);
    expect(masker.isEmpty).toBe(false);
    expect(masker.text("abc é1 éé")).toBe("abc é1 ***");
  });

  test("what overlaps or touches becomes one", () => {
    const masker = maskerOf("abcdef", "defghi", "abcd", "xyz1");
    expect(masker.text("-abcdefghi-")).toBe("-***-");
    expect(masker.text("-abcdxyz1-")).toBe("-***-");
    expect(masker.text("-abcd-xyz1-")).toBe("-***-***-");
    expect(masker.text("-abcde-")).toBe("-***e-");
  });

  test("nothing arises from what is left around one", () => {
    const values = ["SECRET", "a***b", "****", "x***", "*y*z", "ab**", "**é"];
    const masker = maskerOf(...values);
    for (const text of [
      "aSECRETb",
      "*SECRET",
      "SECRET*",
      "xSECRET",
      "**SECRET**",
      "SECRETSECRET",
      "aaSECRETbb",
      "SECRETy*z",
      "abSECRET",
      "SECRETé",
    ]) {
      const stream = masker.stream();
      const streamed = [...text].map((char) => stream.push(char)).join("") + stream.end();
      for (const value of values) {
        expect(masker.text(text)).not.toContain(value);
        expect(streamed).not.toContain(value);
      }
    }
    const nested = "a".repeat(500) + "SECRET" + "b".repeat(500);
    expect(masker.text(nested)).toBe("***");
  });

  test("what holds none is the same text, with its stars", () => {
    const masker = maskerOf("pa*word", "$&$1");
    expect(masker.text("***** $$ $1 & pa**word")).toBe("***** $$ $1 & pa**word");
    expect(masker.text("<$&$1>")).toBe("<***>");
  });

  test("a long value is masked as one, and so is a part of it that was cut off", () => {
    const long = Array.from({ length: 9000 }, (_, place) => place.toString(36)).join("");
    const masker = maskerOf(long);
    expect(masker.text(`<${long}>`)).toBe("<***>");
    expect(masker.text(`<${Buffer.from(long).toString("base64")}>`)).toBe("<***>");
    expect(masker.text(long.slice(0, 20_000)).length).toBeLessThan(1100);
    for (const repeated of ["a", "ab", "a\n"]) expect(maskerOf(repeated.repeat(32_768)).text(`<${repeated.repeat(32_768)}>`)).toBe("<***>");
  });

  test("a text's end that begins a value is one that was cut off: sixteen units of it, or eight at the end of a stream, become ***", () => {
    const [value, other] = ["https://user:pa55-word@host.example.com/x", "0123456789abcdef0123456789abcdef"];
    const masker = maskerOf(value, other);
    for (const [form, before] of [
      [value, "at "],
      [Buffer.from(value).toString("base64"), "b "],
      [other.repeat(2), "n "],
    ] as const) {
      for (const length of [8, 15, 16, form.length - 1]) {
        const text = before + form.slice(0, length);
        const stream = masker.stream();
        const streamed = [...text].map((char) => stream.push(char)).join("") + stream.end();
        expect(streamed).toBe(`${before}***`);
        expect(masker.text(text)).toBe(length < 16 ? text : `${before}***`);
      }
    }
    const stream = masker.stream();
    expect(stream.push("https:/") + stream.end()).toBe("https:/");
    expect(masker.text(`${value.slice(0, 30)} and more`)).toBe(`${value.slice(0, 30)} and more`);
    expect(masker.text(`${value}${other.slice(0, 20)}`)).toBe("***");
  });

  test("of a long value whose stream ends in it nothing is left, wherever it ends", () => {
    const long = Array.from({ length: 4000 }, (_, place) => place.toString(36)).join("");
    const masker = maskerOf(long);
    for (const length of [8, 64, 1023, 1024, 1100, 2047, 2048, 5000, long.length - 1]) {
      const stream = masker.stream();
      expect(stream.push(`<${long.slice(0, length)}`) + stream.end()).toBe("<***");
      expect(masker.text(`<${long.slice(0, Math.max(16, length))}`)).toBe("<***");
    }
  });

  test("texts that repeat themselves are passed in leaps, and forms that begin alike are told apart at little cost", () => {
    const texts = ["a".repeat(8_000_000), "ab".repeat(4_000_000), `${"a".repeat(1023)}b`.repeat(1000)];
    for (const value of ["a".repeat(60_000), "ab".repeat(30_000)]) {
      const masker = maskerOf(value);
      masker.text("");
      const startedAt = performance.now();
      for (const text of texts) masker.text(text);
      expect(masker.tail("a".repeat(2_000_000), 1_000_000).length).toBeLessThanOrEqual(1_000_000);
      // A tenth of what looking at each place would take; others load this machine too.
      expect(performance.now() - startedAt).toBeLessThan(1500);
    }
  });

  test("making the forms of large values leaves others their turns", async () => {
    const masker = new Masker();
    const letters = (seed: number) => Bun.SHA512_256.hash(`${seed}`, "hex");
    masker.add(
      Array.from({ length: 60 }, (_, value) =>
        Array.from({ length: 900 }, (__, line) => letters(value * 900 + line).replaceAll(/(.{5})./g, "$1\n")).join(""),
      ),
    );
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const startedAt = performance.now();
    await masker.ready();
    isOver = true;
    expect(turns).toBeGreaterThan((performance.now() - startedAt) / 100);
    expect(turns).toBeGreaterThan(3);
    const before = performance.now();
    expect(masker.text(`<${letters(0).slice(0, 5)}>`)).toBe("<***>");
    expect(performance.now() - before).toBeLessThan(100);
  });

  test("executions with the same values share what was made of them, and nothing else", () => {
    const [one, two] = [maskerOf("value-one", "value-two"), maskerOf("value-one", "value-two")];
    expect([one.text("value-one value-3"), two.text("value-two value-3")]).toEqual(["*** value-3", "*** value-3"]);
    two.add(["value-3"]);
    expect([one.text("value-one value-3"), two.text("value-two value-3")]).toEqual(["*** value-3", "*** ***"]);
    expect(maskerOf("value-one", "value-two").text("value-3")).toBe("value-3");
  });

  test("hundreds of values of the greatest length end in bounded time", () => {
    const masker = new Masker();
    const values = Array.from({ length: 100 }, (_, value) => Array.from({ length: 5000 }, (_, line) => `x+/ü ${value} ${line}\n`).join(""));
    masker.add(values);
    for (const value of [values[0], values[99]]) expect(masker.text(`<${value}>`)).toBe("<***>");
  });
});

describe("[WF-09] masked JSON", () => {
  test("strings, keys, numbers and booleans", () => {
    const masker = maskerOf("secret", "1234", "true", "1e+21");
    const value: Json = { a: ["secret!", 51234, true, false, null, 1e21, 7], secret: { "x-secret": 1 }, n: -1234.5 };
    expect(masker.json(value)).toEqual({ a: ["***!", "***", "***", false, null, "***", 7], "***": { "x-***": 1 }, n: "***" });
    expect(value).toEqual({ a: ["secret!", 51234, true, false, null, 1e21, 7], secret: { "x-secret": 1 }, n: -1234.5 });
  });

  test("what holds none is the same object, also within one that does", () => {
    const clean = { list: [1, "two", { three: null }] };
    expect(maskerOf("secret").json(clean)).toBe(clean);
    const masked = maskerOf("secret").json({ clean, other: "secret" }) as { clean: Json };
    expect(masked.clean).toBe(clean);
    expect(new Masker().json(clean)).toBe(clean);
  });

  test("own members called __proto__", () => {
    const value = JSON.parse('{"__proto__":{"polluted":"secret"},"b":1}') as Json;
    expect(JSON.stringify(maskerOf("secret").json(value))).toBe('{"__proto__":{"polluted":"***"},"b":1}');
    const renamed = maskerOf("secret").json(JSON.parse('{"secret":1,"__proto__":{"a":2}}') as Json);
    expect(JSON.stringify(renamed)).toBe('{"***":1,"__proto__":{"a":2}}');
    expect(Object.getPrototypeOf(renamed)).toBe(Object.prototype);
  });

  test("keys that only the secret told apart stay apart", () => {
    expect(maskerOf("secret-1", "secret-2", "***2").json({ "secret-1": 1, "***": 0, "secret-2": 2 })).toEqual({ "***3": 1, "***": 0, "***4": 2 });
  });

  test("values that are deeper than any stack", () => {
    let deep: Json = "secret";
    for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
    let masked = maskerOf("secret").json(deep);
    while (Array.isArray(masked)) masked = masked[0] ?? null;
    expect(masked).toBe("***");
  });
});

describe("[WF-09] tails", () => {
  test("end before a value that the cut would go through, and show no half character", () => {
    const masker = maskerOf("abcdef", "defghi");
    expect(masker.tail("--abcdef--", 10)).toBe("--abcdef--");
    expect(masker.tail("--abcdef--", 8)).toBe("abcdef--");
    expect(masker.tail("--abcdef--", 7)).toBe("--");
    expect(masker.tail("--abcdefghi--", 8)).toBe("--");
    expect(masker.tail("--abcdef--", 0)).toBe("");
    expect(masker.tail("aé😀b", 8)).toBe("aé😀b");
    expect(masker.tail("aé😀b", 7)).toBe("é😀b");
    expect(masker.tail("aé😀b", 6)).toBe("😀b");
    expect(masker.tail("aé😀b", 4)).toBe("b");
    expect(masker.tail("\ud800b", 4)).toBe("\ud800b");
    expect(new Masker().tail("abc", 2)).toBe("bc");
    const encoded = Buffer.from("abcdef").toString("base64");
    expect(masker.tail(`x${encoded}y`, 6)).toBe("y");
  });
});

describe("[WF-09] streams", () => {
  test("hold back only what may become a value", () => {
    const stream = maskerOf("secret").stream();
    expect(stream.push("hello se")).toBe("hello ");
    expect(stream.push("ven")).toBe("seven");
    expect(stream.push("sec")).toBe("");
    expect(stream.push("ret!")).toBe("***!");
    expect(stream.push("sec")).toBe("");
    expect(stream.end()).toBe("sec");
  });

  test("mask across borders, and once for what touches or overlaps", () => {
    const masker = maskerOf("abcdef", "defghi");
    for (const pieces of [
      ["abcdef", "ghi"],
      ["abcdef", "abcdef"],
      ["ab", "cde", "fgh", "i"],
      ["abcdefg", "hiabc", "def"],
    ]) {
      const stream = masker.stream();
      expect(`${pieces.map((piece) => stream.push(piece)).join("")}${stream.end()}`).toBe("***");
    }
  });

  test("a value that is added while one is open counts from then on", () => {
    const masker = new Masker();
    const stream = masker.stream();
    expect(stream.push("secret sec")).toBe("secret sec");
    masker.add(["secret", "other"]);
    expect(stream.push("ret secret oth")).toBe("ret *** ");
    masker.add(["otherwise"]);
    expect(stream.push("er")).toBe("");
    expect(stream.push("!")).toBe("***!");
    expect(stream.end()).toBe("");
  });

  test("a value of 64 KiB that repeats itself is held in bounded memory", () => {
    const masker = maskerOf("a".repeat(65_536));
    const stream = masker.stream();
    let [given, taken] = [0, 0];
    for (let round = 0; round < 100; round += 1) {
      taken += 100;
      given += stream.push("a".repeat(100)).length;
      if (given === 0) expect(taken).toBeLessThan(2000);
    }
    expect(stream.push("b")).toBe("b");
    expect(given).toBe(3);
  });
});
