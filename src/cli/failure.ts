// How a failed command ends: the one error on stderr, as text or as the envelope, and the exit code of its kind.
import { type ErrorBody, exitOf, toErrorBody } from "../base/index.ts";
import type { Style } from "./render/style.ts";
import { jsonText, visible } from "./render/visible.ts";

export type FailureView = { json: boolean; style: Style; verbose: boolean };

/** The lines for stderr. Diagnostics that the caller did not print itself are listed below the message. */
export function renderFailure(body: ErrorBody, view: FailureView): string {
  if (view.json) return `${jsonText({ error: body }, 0)}\n`;
  const lines = [`${view.style.red(`error[${visible(body.code)}]`)}: ${visible(body.message)}`];
  for (const found of diagnosticsOf(body)) lines.push(`  ${found}`);
  if (body.hint !== undefined) lines.push(`${view.style.cyan("hint")}: ${visible(body.hint)}`);
  return `${lines.join("\n")}\n`;
}

type Finding = { file?: string; line?: number; column?: number; severity?: string; code?: string; message?: string; path?: string; hint?: string };

function diagnosticsOf(body: ErrorBody): string[] {
  const list = body.details?.["diagnostics"];
  return Array.isArray(list) ? list.map((found: Finding) => visible(renderFinding(found))) : [];
}

function renderFinding({ file = "", line, column = 1, severity = "error", code = "", message = "", path = "", hint }: Finding): string {
  const place = line === undefined ? path : `${file}:${line}:${column}`;
  return `${place === "" ? "" : `${place}: `}${severity}[${code}]: ${message}${hint === undefined ? "" : ` (${hint})`}`;
}

/** The body and the exit code of anything thrown. A stack is shown for our own mistakes only, and only when asked. */
export function describeFailure(thrown: unknown, view: FailureView): { text: string; exitCode: number } {
  const body = toErrorBody(thrown);
  let text = renderFailure(body, view);
  if (view.verbose && body.code === "INTERNAL" && !view.json && thrown instanceof Error && thrown.stack !== undefined)
    text += `${visible(thrown.stack)}\n`;
  return { text, exitCode: exitOf(body.code) };
}
