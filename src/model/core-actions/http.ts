// Requests over HTTP.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { parseOpenUrl } from "./open-url.ts";
import { barePathRule, type BareFolder, pathEntries } from "./path-entry.ts";

const scalar: JsonObject = { type: ["string", "number", "boolean", "null"] };
const scalars: JsonObject = {
  type: "object",
  additionalProperties: { anyOf: [scalar, { type: "array", items: scalar }] },
};
const pathOrPem: JsonObject = { type: "string", description: "A PEM text, or the path of a file with one." };

const part = closed(
  {
    name: text,
    value: { type: "string" },
    file: { type: "string", description: "Path of the file to send as this part." },
    filename: text,
    contentType: text,
  },
  ["name"],
);

const retries: JsonObject = {
  anyOf: [
    { type: "integer", minimum: 0, maximum: 10 },
    closed({
      max: { type: "integer", minimum: 0, maximum: 10, description: "Requests beyond the first." },
      on: { type: "array", items: { type: "integer", minimum: 400, maximum: 599 }, description: "Default: 429, 502, 503, 504." },
      delay: { type: "string", description: "Before the first retry, doubled for each further one. Default: 500ms." },
      maxDelay: { type: "string", description: "A longer Retry-After is not waited for. Default: 1m." },
    }),
  ],
  description: "Default: 2 for GET, HEAD, OPTIONS, PUT and DELETE, else 0. Retry-After is honoured.",
};

const input = closed(
  {
    url: { type: "string", minLength: 1, description: "http or https." },
    method: { type: "string", pattern: "^[A-Za-z][A-Za-z-]{0,31}$", description: "Default: GET." },
    headers: scalars,
    query: { ...scalars, description: "Added to the URL's own query; a list repeats its name, null leaves it out." },
    body: { description: "Text as it stands; any other value as JSON, an object as a form where the content-type says so. null: none." },
    json: { description: "Sent as application/json." },
    form: { ...scalars, description: "Sent as application/x-www-form-urlencoded." },
    file: { type: "string", description: `Path of a file to send. ${barePathRule}.` },
    multipart: { type: "array", items: part, minItems: 1, description: "Sent as multipart/form-data." },
    auth: closed({ basic: closed({ username: text, password: text }, ["username", "password"]), bearer: text }),
    timeout: { type: "string", description: "Of each request, its body included. Default: 30s." },
    followRedirects: { type: "boolean", description: "Default: true." },
    maxRedirects: { type: "integer", minimum: 0, maximum: 50, description: "Default: 10." },
    redirectHosts: {
      type: "array",
      items: text,
      description: "host:port entries of other hosts that redirects may lead to; each needs its grant like the URL's own.",
    },
    retries,
    tls: closed({
      ca: pathOrPem,
      cert: pathOrPem,
      key: pathOrPem,
      insecure: { type: "boolean", description: "True: takes any certificate." },
    }),
    maxBytes: { type: "integer", minimum: 0, description: "Largest response body, decompressed. Default: 10 MiB." },
    failOnStatus: { type: "boolean", description: "Default: true: a status of 400 or more fails." },
    saveAs: { type: "string", minLength: 1, description: "Keeps the body as an artifact of this name, whatever its type." },
    files,
  },
  ["url"],
);

const output = closed(
  {
    status: { type: "integer" },
    headers: {
      type: "object",
      additionalProperties: { type: ["string", "array"] },
      description: "Names in lower case; set-cookie is a list.",
    },
    body: { description: "Parsed when the type is JSON, else text, else the artifact {name, uri, size, contentType}; null when there is none." },
    artifacts: { type: "array" },
  },
  ["status", "headers", "body"],
);

/** The host and port of a URL, null while they are not known. */
function hostEntry(url: unknown): string | null {
  const parsed = parseOpenUrl(url);
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) return null;
  return `${parsed.hostname}:${parsed.port === "" ? (parsed.protocol === "https:" ? "443" : "80") : parsed.port}`;
}

function asks(inputs: JsonObject, bare?: BareFolder): Permissions {
  const { url, redirectHosts, file, multipart, tls } = inputs as Record<string, unknown>;
  const others = Array.isArray(redirectHosts)
    ? redirectHosts.filter((entry): entry is string => typeof entry === "string" && !entry.includes("{{"))
    : [];
  const host = hostEntry(url);
  const parts = Array.isArray(multipart) ? multipart.map((one) => (one as { file?: unknown } | null)?.file) : [];
  const { ca, cert, key } = (typeof tls === "object" && tls !== null ? tls : {}) as Record<string, unknown>;
  const pems = [ca, cert, key].filter((one) => typeof one === "string" && !one.includes("-----BEGIN"));
  return {
    network: [...new Set([...(host === null ? [] : [host]), ...others])],
    filesystem: { read: pathEntries([file, ...parts, ...pems], bare) },
  };
}

export const httpActions: readonly ActionDescription[] = [
  {
    action: "core/http.request",
    description: "Sends one HTTP request and gives status, headers and body.",
    input,
    output,
    // Whether a repeated request does harm depends on the method, which only the workflow's author knows.
    idempotent: false,
    runsIn: "process",
    available: true,
    asks,
  },
];
