// URLs of inputs that may still hold expressions, as they do when a workflow is planned.

/** Stands for an expression while a URL is taken apart: valid in every part of one. */
const openPart = "x--open--x";

/** A URL taken apart, null when it is none. Where its host or port still holds an expression it is none either. */
export function parseOpenUrl(url: unknown): URL | null {
  if (typeof url !== "string") return null;
  const filled = url.replaceAll(/\{\{[\s\S]*?\}\}/g, openPart);
  if (!URL.canParse(filled)) return null;
  const parsed = new URL(filled);
  return parsed.host.includes(openPart) || parsed.protocol.includes(openPart) ? null : parsed;
}
