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

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Twenty and more; the first is the value itself. */
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
  "each line": (value) => value.split("\n").join("\n-- "),
};
