// What escapers of text make of a value: JSON, URLs, markup, shells, literals of programming languages.
import type { Richness } from "./byte-forms.ts";

/** JSON, once and twice, and URLs: however long the value is. */
export function commonTextForms(value: string, richness: Richness): Set<string> {
  const plain = JSON.stringify(value).slice(1, -1);
  const json = [plain, plain.replaceAll("/", "\\/")];
  const urls = [encodeURIComponent(value.toWellFormed())];
  if (richness !== "plain") for (const style of richness === "rich" ? jsonStyles : jsonStyles.slice(0, 1)) json.push(jsonForm(value, style));
  if (richness === "rich") for (const encoded of encodedInUrls) urls.push(urlForm(value.toWellFormed(), encoded));
  const forms = new Set([...json, ...urls]);
  if (richness === "plain") return forms;
  for (const form of json) forms.add(JSON.stringify(form).slice(1, -1));
  for (const form of urls.flatMap((url) => [url, url.replaceAll("%20", "+")])) {
    forms.add(form);
    forms.add(form.replace(/%../g, (code) => code.toLowerCase()));
  }
  return forms;
}

const caselessUnitsMin = 8;

/** Markup, shells, literals, and the value backwards: for values that are no files. */
export function richTextForms(value: string): Set<string> {
  const forms = new Set([[...value].toReversed().join("")]);
  // Host names and headers lose their case on the way; a short word in the other case is likely another word.
  if (value.length >= caselessUnitsMin) for (const form of [value.toLowerCase(), value.toUpperCase()]) forms.add(form);
  for (const form of [...markupForms(value), ...shellForms(value)]) forms.add(form);
  for (const form of literalForms(value)) {
    forms.add(form);
    // As JSON has it when a program logs it.
    forms.add(JSON.stringify(form).slice(1, -1));
  }
  return forms;
}

type JsonStyle = { escaped: RegExp; isUpper?: boolean; hasNoNames?: boolean };

/** Beside JavaScript's, which escapes quotes, backslashes, what is below the blank and what is no character. */
const jsonStyles: JsonStyle[] = [
  { escaped: /["\\]|[^ -~]/g },
  { escaped: /["\\/]|[^ -~]/g },
  { escaped: /["\\]|[^ -~]/g, isUpper: true },
  { escaped: /["\\]|[^ -~]/g, hasNoNames: true },
  { escaped: /["\\]|[^ -~]/g, hasNoNames: true, isUpper: true },
  // For HTML's sake: Go and .NET.
  { escaped: /["\\<>&\u2028\u2029]|[^ -\uffff]/g },
  { escaped: /[<>&'+`"\\]|[^ -~]/g, isUpper: true },
];

const jsonNames: Record<string, string> = { '"': '\\"', "\\": "\\\\", "/": "\\/" };
const controlNames: Record<string, string> = { "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function jsonForm(value: string, { escaped, isUpper, hasNoNames }: JsonStyle): string {
  return value.replace(escaped, (unit) => {
    const name = jsonNames[unit] ?? (hasNoNames ? undefined : controlNames[unit]);
    return name ?? `\\u${hexOf(unit.charCodeAt(0), 4, isUpper)}`;
  });
}

function hexOf(code: number, digits: number, isUpper = false): string {
  const hex = code.toString(16).padStart(digits, "0");
  return isUpper ? hex.toUpperCase() : hex;
}

function urlForm(value: string, encoded: RegExp): string {
  return value.replace(encoded, (run) => Buffer.from(run).toString("hex").toUpperCase().replace(/../g, "%$&"));
}

/** Beside `encodeURIComponent`: RFC 3986; the same without slashes; forms; `encodeURI`; PHP; all but letters and digits. */
const encodedInUrls = [/[^\w.~-]+/g, /[^\w.~/-]+/g, /[^\w*.-]+/g, /[^\w.!~*'()\-;/?:@&=+$,#]+/g, /[^\w.-]+/g, /[^A-Za-z0-9]+/g];

function* markupForms(value: string): Iterable<string> {
  if (/[&<>"']|[^ -~]/.test(value)) {
    const plain = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    for (const more of [">", "&gt;"])
      for (const double of ['"', "&quot;", "&#34;"])
        for (const single of ["'", "&#39;", "&apos;", "&#x27;", "&#039;"]) {
          const form = plain.replaceAll(">", more).replaceAll('"', double).replaceAll("'", single);
          yield form;
          yield form.replace(/[^ -~]/gu, (char) => `&#${char.codePointAt(0)};`);
          yield form.replace(/[^ -~]/gu, (char) => `&#x${hexOf(char.codePointAt(0) ?? 0, 1)};`);
          yield form.replace(/[^ -~]/gu, (char) => `&#x${hexOf(char.codePointAt(0) ?? 0, 1, true)};`);
        }
  }
  const codes = Array.from(value, (char) => char.codePointAt(0) ?? 0);
  yield codes.map((code) => `&#${code};`).join("");
  for (const isUpper of [false, true]) yield codes.map((code) => `&#x${hexOf(code, 2, isUpper)};`).join("");
}

/** Quotes that end, escape and begin again; doubled quotes as in SQL, CSV and YAML; backslashes as `printf %q` and others put them. */
function* shellForms(value: string): Iterable<string> {
  for (const quoted of ["'\\''", "'\"'\"'", "''", "\\'"]) yield value.replaceAll("'", quoted);
  yield value.replaceAll('"', '""');
  for (const escaped of backslashed) yield value.replace(escaped, "\\$&");
}

const backslashed = [
  /["$`\\]/g,
  /["$`\\!]/g,
  /[^\w@%+=:,./\u0080-\uffff-]/g,
  /[^\w@%+=:./\u0080-\uffff-]/g,
  /[^\w./\u0080-\uffff-]/g,
  /[^\w\u0080-\uffff]/g,
  /[.*+?^${}()|[\]\\]/g,
  /[.*+?^${}()|[\]\\/]/g,
  /[.*+?^${}()|[\]\\&~# -]/g,
];

type LiteralStyle = { names: Record<string, string>; control: (code: number) => string; wide: (char: string, code: number) => string };

const longNames = { ...controlNames, "\v": "\\v" };
const shortNames = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const keep = (char: string): string => char;
const lowerByte = (code: number): string => `\\x${hexOf(code, 2)}`;
const upperByte = (code: number): string => `\\x${hexOf(code, 2, true)}`;
const octalByte = (code: number): string => `\\${code.toString(8).padStart(3, "0")}`;
const braced = (code: number): string => `\\u{${hexOf(code, 1)}}`;
const eachByte = (char: string, write: (byte: number) => string): string => Array.from(Buffer.from(char), write).join("");
const longCode = (code: number): string => (code > 0xffff ? `\\U${hexOf(code, 8)}` : `\\u${hexOf(code, 4)}`);

/** Python's repr, ascii and bytes; Node; Go; C, bash and git; Rust. */
const literalStyles: LiteralStyle[] = [
  { names: shortNames, control: lowerByte, wide: keep },
  { names: shortNames, control: lowerByte, wide: (_char, code) => (code < 0x100 ? lowerByte(code) : longCode(code)) },
  { names: shortNames, control: lowerByte, wide: (char) => eachByte(char, lowerByte) },
  { names: longNames, control: upperByte, wide: keep },
  { names: longNames, control: lowerByte, wide: (_char, code) => longCode(code) },
  { names: longNames, control: octalByte, wide: (char) => eachByte(char, octalByte) },
  { names: shortNames, control: braced, wide: keep },
  { names: shortNames, control: braced, wide: (_char, code) => braced(code) },
];

function literalForms(value: string): string[] {
  if (!/["'\\]|[^ -~]/.test(value)) return [];
  const quotes = ["", "'", '"', "'\""].filter((quote) => [...quote].every((char) => value.includes(char)));
  return literalStyles.flatMap((style) => quotes.map((quote) => value.replace(/["'\\]|[^ -~]/gu, (char) => literalOf(char, quote, style))));
}

function literalOf(char: string, quotes: string, { names, control, wide }: LiteralStyle): string {
  if (char === "\\") return "\\\\";
  if (char === '"' || char === "'") return quotes.includes(char) ? `\\${char}` : char;
  const code = char.codePointAt(0) ?? 0;
  return names[char] ?? (code < 0x80 ? control(code) : wide(char, code));
}
