// Ways in which a secret gets around, written without the product's own code: what the hunted workflow prints and what the hunt looks for.
// A script of the workflow begins with this very text.

const bytesOf = (value: string): number[] => [...new TextEncoder().encode(value)];
const hex = (value: string): string =>
  bytesOf(value)
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
const base64 = (value: string): string => btoa(String.fromCharCode(...bytesOf(value)));
const wrap = (text: string, width: number): string => (text.match(new RegExp(`.{1,${width}}`, "g")) ?? []).join("\n");
const base32Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32(value: string): string {
  const bits = bytesOf(value)
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => base32Letters[Number.parseInt(five.padEnd(5, "0"), 2)] ?? "").join("");
}

const utf16 = (value: string, isBig: boolean): number[] =>
  Array.from({ length: value.length }, (_, at) => value.charCodeAt(at)).flatMap((unit) =>
    isBig ? [unit >> 8, unit & 255] : [unit & 255, unit >> 8],
  );
const hexOf = (bytes: number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
const base64Of = (bytes: number[]): string => btoa(bytes.map((byte) => String.fromCharCode(byte)).join(""));
const letters = "abcdefghijklmnopqrstuvwxyz";
const turned = letters.slice(13) + letters.slice(0, 13);
const rot13 = (value: string): string =>
  Array.from(value, (letter) => turned[letters.indexOf(letter)] ?? turned[letters.indexOf(letter.toLowerCase())]?.toUpperCase() ?? letter).join("");

/** Of the bytes in whole groups of four. */
function base85(value: string, digitOf: (digit: number) => string): string {
  const bytes = bytesOf(value);
  let text = "";
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const group = bytes.slice(at, at + 4).reduce((sum, byte) => sum * 256 + byte, 0);
    for (const weight of [85 ** 4, 85 ** 3, 85 ** 2, 85, 1]) text += digitOf(Math.floor(group / weight) % 85);
  }
  return text;
}

const python85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_\x60{|}~";

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Forty and more; the first is the value itself. */
export const encodings: Record<string, (value: string) => string> = {
  raw: (value) => value,
  base64,
  "base64 without padding": (value) => base64(value).replace(/=+$/, ""),
  base64url: (value) => base64(value).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  "base64 after one byte": (value) => base64(`u${value}`),
  "base64 after two bytes": (value) => base64(`u:${value}`),
  "base64 within": (value) => base64(`user:${value}@host`),
  "base64 in lines of 76": (value) => wrap(base64(value), 76),
  "base64 in lines of 64": (value) => wrap(base64(value), 64),
  "URL component": encodeURIComponent,
  "form value": (value) => new URLSearchParams({ v: value }).toString().slice(2),
  "percent, upper case": (value) => hex(value).toUpperCase().replace(/../g, "%$&"),
  "percent, lower case": (value) => hex(value).replace(/../g, "%$&"),
  JSON: (value) => JSON.stringify(value),
  "JSON twice": (value) => JSON.stringify(JSON.stringify(value)),
  "hex, lower case": hex,
  "hex, upper case": (value) => hex(value).toUpperCase(),
  base32,
  "HTML entities": (value) => value.replace(/[&<>"']/g, (letter) => entities[letter] ?? letter),
  "shell quoted": (value) => `'${value.replaceAll("'", `'\\''`)}'`,
  "lower case": (value) => value.toLowerCase(),
  "upper case": (value) => value.toUpperCase(),
  "upside down": (value) => [...value].toReversed().join(""),
  "URL component twice": (value) => encodeURIComponent(encodeURIComponent(value)),
  "JSON three times": (value) => JSON.stringify(JSON.stringify(JSON.stringify(value))),
  "base64 twice": (value) => base64(base64(value)),
  "base64 of JSON": (value) => base64(JSON.stringify(value)),
  "base64 of a URL component": (value) => base64(encodeURIComponent(value)),
  "base64 of hex": (value) => base64(hex(value)),
  "base64 of UTF-16LE": (value) => base64Of(utf16(value, false)),
  "base64 of UTF-16BE": (value) => base64Of(utf16(value, true)),
  "UTF-16LE in hex": (value) => hexOf(utf16(value, false)),
  "UTF-16BE in hex": (value) => hexOf(utf16(value, true)),
  "quoted-printable": (value) =>
    bytesOf(value)
      .map((byte) =>
        byte === 61 || (byte !== 9 && byte !== 10 && (byte < 32 || byte > 126)) ? `=${hexOf([byte]).toUpperCase()}` : String.fromCharCode(byte),
      )
      .join(""),
  rot13,
  octal: (value) =>
    bytesOf(value)
      .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
      .join(""),
  "base85 of Adobe": (value) => base85(value, (digit) => String.fromCharCode(33 + digit)),
  "base85 of Python": (value) => base85(value, (digit) => python85[digit] ?? ""),
  composed: (value) => value.normalize("NFC"),
  decomposed: (value) => value.normalize("NFD"),
  "each line": (value) => value.split("\n").join("\n-- "),
};
