// The reference page: one HTML document without scripts or outside parts, made from the table of routes.
import type { TSchema } from "@sinclair/typebox";
import { version } from "../../base/index.ts";
import type { Route } from "../route.ts";

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
code,.path{font-family:ui-monospace,monospace;font-size:.93em}h2{margin-top:2.5rem;border-bottom:1px solid #d5dae0}
article{margin:1.2rem 0;padding:.8rem 1rem;border:1px solid #d5dae0;border-radius:6px}h3{margin:0;font-size:1rem;font-weight:600}
.method{display:inline-block;min-width:4.2rem;font-weight:700}table{border-collapse:collapse;margin-top:.6rem;width:100%}
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0;font-weight:400}th{color:#5b6570;white-space:nowrap}p{margin:.4rem 0 0}
@media(prefers-color-scheme:dark){body{color:#dfe3e8;background:#14171a}h2,article{border-color:#333a42}th{color:#9aa5b1}a{color:#7db7ff}}`;

/** The page with the content security policy that lets its own style through and nothing else. */
export function referencePage(routes: readonly Route[]): { html: string; policy: string } {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const sections = tags.map(
    (tag) =>
      `<h2 id="${tag}">${escape(tag)}</h2>${routes
        .filter((route) => route.tag === tag)
        .map(article)
        .join("")}`,
  );
  const links = tags.map((tag) => `<a href="#${tag}">${escape(tag)}</a>`).join(" · ");
  const html =
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Autokestra API</title>` +
    `<style>${style}</style></head><body><h1>Autokestra ${escape(version)}: HTTP API</h1>` +
    `<p>Send the key as <code>Authorization: Bearer KEY</code>. The same as OpenAPI: <a href="/openapi.json">/openapi.json</a>.</p>` +
    `<p>${links}</p>${sections.join("")}</body></html>`;
  const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
  return { html, policy: `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'` };
}

function article(route: Route): string {
  const rows = [
    row("scope", route.scope === null ? "none, public" : `<code>${route.scope}</code>`),
    ...Object.entries((route.query?.properties ?? {}) as Record<string, TSchema>).map(([name, schema]) => row("query", member(name, schema))),
    ...(route.idempotent ? [row("header", "<code>Idempotency-Key</code>: the same key and body give the first answer again")] : []),
    ...(route.resumable ? [row("header", "<code>Last-Event-ID</code>: go on after it")] : []),
    ...bodyRows(route),
    ...Object.entries(route.answers).map(([status, { means }]) => row(status, escape(means))),
  ];
  const head = `<h3><span class="method">${route.method}</span> <span class="path">${escape(route.path)}</span></h3>`;
  return `<article>${head}<p>${escape(route.summary)}.</p><table>${rows.join("")}</table></article>`;
}

function bodyRows({ body }: Route): string[] {
  if (body === null) return [];
  const types = row(
    "body",
    `${body.types.map((type) => `<code>${escape(type)}</code>`).join(", ")}${body.optional === true ? ", may be left out" : ""}`,
  );
  const members = (body.schema["properties"] ?? {}) as Record<string, TSchema>;
  return [types, ...Object.entries(members).map(([name, schema]) => row("", member(name, schema)))];
}

function member(name: string, schema: TSchema): string {
  return `<code>${escape(name)}</code>${schema.description === undefined ? "" : `: ${escape(schema.description)}`}`;
}

function row(name: string, cell: string): string {
  return `<tr><th>${escape(name)}</th><td>${cell}</td></tr>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
