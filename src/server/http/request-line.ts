// The first check of a request: is its line of a sane size and form? And the two halves of its target.
import { fail } from "../../base/index.ts";

/** Our longest honest target is a query with a cursor and a search text. */
const targetCharsMax = 8192;
const requestIdPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** @throws BAD_REQUEST when the target is too long or is not percent-encoded UTF-8 */
export function checkRequestLine(url: string): void {
  if (url.length > targetCharsMax) throw fail("BAD_REQUEST", `Cannot read the request: its target is longer than ${targetCharsMax} characters`);
  if (url.includes("#")) throw fail("BAD_REQUEST", "Cannot read the request: its target holds a fragment");
  if (!url.includes("%")) return;
  try {
    decodeURIComponent(url);
  } catch {
    throw fail("BAD_REQUEST", "Cannot read the request: its target is not percent-encoded UTF-8");
  }
}

/** Path and query of a URL, still encoded. A request without a Host header has a URL without an origin. */
export function splitTarget(url: string): { path: string; search: string } {
  const host = url.indexOf("//");
  const start = url.startsWith("/") ? 0 : url.indexOf("/", host + 2);
  if (start === -1) return { path: "/", search: "" };
  const mark = url.indexOf("?", start);
  return mark === -1 ? { path: url.slice(start), search: "" } : { path: url.slice(start, mark), search: url.slice(mark + 1) };
}

/** The client's own request id if it is a plain token, so that it cannot forge log lines; else null. */
export function requestIdOf(headers: Headers): string | null {
  const given = headers.get("x-request-id");
  return given !== null && requestIdPattern.test(given) ? given : null;
}
