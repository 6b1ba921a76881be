// What encoders of bytes make of a value: base64 at each alignment and wrapped, hex, base32, percent signs.

/** Rich: every form that is known; common: what a file gets around in; plain: what is masked however much there is. */
export type Richness = "rich" | "common" | "plain";

/** Where tools break lines: MIME and `base64`, and PEM. */
const wraps = [76, 64];
/** Where `xxd -p` breaks lines. */
const hexWrap = 60;

export function byteForms(bytes: Buffer, richness: Richness): Set<string> {
  const forms = new Set<string>();
  const whole = bytes.toString("base64");
  addBase64(forms, whole, richness);
  if (richness !== "plain") {
    for (const skipped of [1, 2]) for (const core of coresOf(bytes, skipped)) addBase64(forms, core, richness);
    for (const width of wraps) addWrapped(forms, whole, width, richness);
  }
  // Aligned as well: whatever follows the value decides over its last character.
  for (const core of coresOf(bytes, 0)) addBase64(forms, core, richness);
  if (richness === "rich") {
    for (const form of hexForms(bytes)) forms.add(form);
    for (const form of base32Forms(bytes)) forms.add(form);
  }
  return forms;
}

/**
 * Of the base64 of a text in which `skipped` bytes (modulo three) stand before the value: what depends on the value alone, and the same to its end
 * when the text ends with the value.
 */
export function coresOf(bytes: Buffer, skipped: number): string[] {
  const whole = Buffer.concat([Buffer.alloc(skipped), bytes]).toString("base64");
  const from = Math.ceil((skipped * 8) / 6);
  const to = Math.floor(((skipped + bytes.length) * 8) / 6);
  return [whole.slice(from, to), whole.slice(from)];
}

/** With and without padding, with the characters for URLs, and as these look in a URL or in JSON that escapes slashes. */
export function addBase64(forms: Set<string>, text: string, richness: Richness): void {
  const bare = text.replace(/=+$/, "");
  forms.add(text);
  forms.add(bare);
  if (richness === "plain") return;
  forms.add(bare.replaceAll("+", "-").replaceAll("/", "_"));
  if (richness === "common") return;
  forms.add(text.replaceAll("+", "-").replaceAll("/", "_"));
  forms.add(text.replaceAll("/", "\\/"));
  forms.add(encodeURIComponent(text));
  forms.add(encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase()));
}

/** Each line, and for values that are no files all of them with what breaks lines, also as JSON has it. */
function addWrapped(forms: Set<string>, text: string, width: number, richness: Richness): void {
  if (text.length <= width) return;
  const lines = text.match(new RegExp(`.{1,${width}}`, "g")) ?? [];
  for (const line of lines) forms.add(line);
  if (richness === "rich") for (const end of ["\n", "\r\n", "\\n", "\\r\\n"]) forms.add(lines.join(end));
}

function* hexForms(bytes: Buffer): Iterable<string> {
  const lower = bytes.toString("hex");
  for (const hex of [lower, lower.toUpperCase()]) {
    const pairs = hex.match(/../g) ?? [];
    yield hex;
    for (const between of [":", " ", "-"]) yield pairs.join(between);
    for (const before of ["%", "\\x"]) yield before + pairs.join(before);
    for (const between of [", ", ",", " "]) yield pairs.map((pair) => `0x${pair}`).join(between);
  }
  if (lower.length > hexWrap) yield* lower.match(new RegExp(`.{1,${hexWrap}}`, "g")) ?? [];
  // Bytes as numbers, as programs print arrays of them.
  for (const between of [", ", ",", " "]) yield bytes.join(between);
}

const base32Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32Forms(bytes: Buffer): string[] {
  let [text, bits, held] = ["", 0, 0];
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += base32Alphabet[(held >> (bits - 5)) & 31];
  }
  // What depends on the value alone, then its end.
  const core = text;
  if (bits > 0) text += base32Alphabet[(held << (5 - bits)) & 31];
  return [core, text, text.padEnd(Math.ceil(text.length / 8) * 8, "=")].flatMap((form) => [form, form.toLowerCase()]);
}
