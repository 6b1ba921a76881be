// Text that came from tasks, files or servers, made safe for a terminal: control characters are shown, never sent.

// C0 without tab and newline, DEL, C1, line separators and the bidirectional overrides that can reorder what is read.
// oxlint-disable-next-line no-control-regex
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
// oxlint-disable-next-line no-control-regex
const hiddenInJson = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  if (code === 13) return "\\r";
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Keeps tabs and newlines, shows every other control character as an escape. */
export function visible(text: string): string {
  return text.replace(hidden, escapeUnit);
}

/** The same on one line: newlines and tabs become escapes as well. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll("\n", "\\n").replaceAll("\t", " ");
}

/** JSON text that is safe to show: the same value, with what JSON leaves unescaped escaped. */
export function jsonText(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(hiddenInJson, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Cuts a line to so many terminal columns, with an ellipsis where something is gone. The text holds no escapes. */
export function cutToWidth(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  if (width <= 1) return width === 1 ? "…" : "";
  let used = 0;
  let out = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const columns = Bun.stringWidth(segment);
    if (used + columns > width - 1) break;
    used += columns;
    out += segment;
  }
  return `${out}…`;
}

/** Fills a text with spaces up to so many columns; escapes of colours count as nothing. */
export function padToWidth(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
}
