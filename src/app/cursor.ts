// Page cursors: opaque to clients, stable under inserts because they name the last row seen, not a position.
import { fail, limits } from "../base/index.ts";

/** A cursor that says where a page ended. */
export function writeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** Reads a cursor back. @throws BAD_REQUEST when it is not one of ours */
export function readCursor(text: string, kinds: readonly ("string" | "number")[]): (string | number)[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (Array.isArray(parts) && parts.length === kinds.length && parts.every((part, index) => typeof part === kinds[index]))
      return parts as (string | number)[];
  } catch {
    // Falls through: whatever is wrong with it, it is not a cursor.
  }
  throw fail("BAD_REQUEST", `Cannot continue at cursor "${text.slice(0, 80)}": it is not one that this server gave out`);
}

/** A page's size. @throws BAD_REQUEST out of 1…500: sizes are never clamped */
export function pageSize(limit: number | undefined): number {
  const size = limit ?? limits.pageDefault;
  if (!Number.isInteger(size) || size < 1 || size > limits.pageMax)
    throw fail("BAD_REQUEST", `Cannot page by ${size}: limit is from 1 to ${limits.pageMax}`);
  return size;
}

/** `name` or `name=value`. @throws BAD_REQUEST */
export function parseLabel(text: string): { name: string; value: string | null } {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  if (name === "") throw fail("BAD_REQUEST", `Cannot filter by label "${text}": write name or name=value`);
  return { name, value: at < 0 ? null : text.slice(at + 1) };
}
