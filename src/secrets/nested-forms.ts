// Encodings of encodings, and those that are met rarely: what a value becomes on its way through several programs.
import { addBase64, coresOf } from "./byte-forms.ts";

/** For values that are no files. */
export function nestedForms(value: string): Set<string> {
  const formed = value.toWellFormed();
  const bytes = Buffer.from(formed);
  const hex = bytes.toString("hex");
  const json = JSON.stringify(formed).slice(1, -1);
  const url = encodeURIComponent(formed);
  const forms = new Set([rot13(value), formed.normalize("NFC"), formed.normalize("NFD"), quotedPrintable(bytes)]);
  forms.add(JSON.stringify(JSON.stringify(json).slice(1, -1)).slice(1, -1));
  for (const twice of [url.replaceAll("%", "%25"), url.replace(/%../g, (code) => code.toLowerCase()).replaceAll("%", "%25")]) forms.add(twice);
  const ascii = json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  for (const text of [json, ascii, url, hex, coresOf(bytes, 0)[0] ?? ""]) if (text !== formed) addWithin(forms, Buffer.from(text));
  addBase64(forms, Buffer.from(bytes.toString("base64")).toString("base64"), "rich");
  addUtf16(forms, formed);
  addOctal(forms, bytes);
  for (const form of base85Forms(bytes)) forms.add(form);
  return forms;
}

/** Base64 of bytes that stand somewhere in others. */
function addWithin(forms: Set<string>, bytes: Buffer): void {
  for (const skipped of [0, 1, 2]) addBase64(forms, coresOf(bytes, skipped)[0] ?? "", "rich");
}

function addUtf16(forms: Set<string>, text: string): void {
  const little = Buffer.from(text, "utf16le");
  for (const bytes of [little, Buffer.from(little).swap16()]) {
    addWithin(forms, bytes);
    addBase64(forms, bytes.toString("base64"), "rich");
    const hex = bytes.toString("hex");
    forms.add(hex);
    forms.add(hex.toUpperCase());
  }
}

/** As in `printf` and literals, and as `od` prints it. */
function addOctal(forms: Set<string>, bytes: Buffer): void {
  const codes = Array.from(bytes, (byte) => byte.toString(8).padStart(3, "0"));
  forms.add(codes.map((code) => `\\${code}`).join(""));
  forms.add(codes.join(" "));
}

function rot13(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => String.fromCharCode(letter.charCodeAt(0) + (letter.toLowerCase() < "n" ? 13 : -13)));
}

/** Without the line breaks that long lines get. */
function quotedPrintable(bytes: Buffer): string {
  return bytes.toString("latin1").replace(/[^\n\r\t -<>-~]/g, (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ascii85 = Array.from({ length: 85 }, (_, digit) => String.fromCharCode(33 + digit)).join("");
/** Adobe's, that of Python and git, ZeroMQ's. */
const alphabets85 = [
  ascii85,
  `${alphanumeric}!#$%&()*+-;<=>?@^_\`{|}~`,
  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
];

/** What depends on the value alone, then its end. */
function base85Forms(bytes: Buffer): string[] {
  const padded = Buffer.concat([bytes, Buffer.alloc(3)]);
  const digits: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    let group = padded.readUInt32BE(at);
    const five: number[] = [];
    for (let place = 0; place < 5; place += 1) {
      five.unshift(group % 85);
      group = Math.floor(group / 85);
    }
    digits.push(...five);
  }
  const core = Math.floor(bytes.length / 4) * 5;
  const whole = core + (bytes.length % 4 === 0 ? 0 : (bytes.length % 4) + 1);
  return alphabets85.flatMap((alphabet) => {
    const text = digits.map((digit) => alphabet[digit] ?? "").join("");
    const made = [text.slice(0, core), text.slice(0, whole)];
    // Four zero bytes are one letter there.
    return alphabet === ascii85 ? made.flatMap((form) => [form, form.replaceAll("!!!!!", "z")]) : made;
  });
}
