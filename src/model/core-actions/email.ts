// Mail over SMTP.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { type BareFolder, pathEntries } from "./path-entry.ts";

const addresses: JsonObject = { type: ["string", "array"], items: text, description: "One address or several, such as Ann <ann@example.com>." };

const attachment = closed(
  {
    path: { type: "string", description: "Path of the file; an artifact given in files is $input/NAME." },
    content: { type: "string", description: "Text, instead of path." },
    filename: text,
    contentType: text,
  },
  [],
);

/** Ports by how the connection is kept secret: RFC 8314. */
const smtpPorts = { tls: 465, starttls: 587, none: 25 } as const;

const input = closed(
  {
    host: { type: "string", minLength: 1 },
    port: { type: "integer", minimum: 1, maximum: 65_535, description: "Default: 465 for tls, 587 for starttls, 25 for none." },
    security: {
      type: "string",
      enum: ["tls", "starttls", "none"],
      description: "Default: starttls, which is required then; on loopback it is used where the server offers it.",
    },
    auth: closed({ user: text, password: text }, ["user", "password"]),
    tls: closed({ ca: { type: "string", description: "A PEM text, or the path of a file with one." }, insecure: { type: "boolean" } }),
    from: { type: "string", minLength: 1 },
    to: addresses,
    cc: addresses,
    bcc: addresses,
    replyTo: addresses,
    subject: text,
    text,
    html: text,
    headers: { type: "object", additionalProperties: text },
    attachments: { type: "array", items: attachment, maxItems: 100 },
    timeout: { type: "string", description: "Of connecting and of each answer. Default: 30s." },
    files,
  },
  ["host", "from"],
);

const list: JsonObject = { type: "array", items: text };
const output = closed({ messageId: text, accepted: list, rejected: list, artifacts: { type: "array" } }, ["messageId", "accepted", "rejected"]);

/** The port that a mail goes to. */
export function smtpPortOf({ port, security }: { port?: unknown; security?: unknown }): number | null {
  if (typeof port === "number") return port;
  if (port !== undefined) return null;
  if (security === undefined) return smtpPorts.starttls;
  return typeof security === "string" && Object.hasOwn(smtpPorts, security) ? smtpPorts[security as keyof typeof smtpPorts] : null;
}

function asks(inputs: JsonObject, bare?: BareFolder): Permissions {
  const { host, attachments, tls } = inputs as Record<string, unknown>;
  const port = smtpPortOf(inputs);
  const isKnown = typeof host === "string" && host !== "" && !host.includes("{{") && port !== null;
  const paths = Array.isArray(attachments) ? attachments.map((one) => (one as { path?: unknown } | null)?.path) : [];
  const ca = typeof tls === "object" && tls !== null ? (tls as { ca?: unknown }).ca : undefined;
  const pem = typeof ca === "string" && ca.includes("-----BEGIN") ? undefined : ca;
  return { network: isKnown ? [`${host}:${port}`] : [], filesystem: { read: pathEntries([...paths, pem], bare) } };
}

export const emailActions: readonly ActionDescription[] = [
  {
    action: "core/email.send",
    description: "Sends a mail over SMTP.",
    input,
    output,
    idempotent: false,
    runsIn: "process",
    available: true,
    asks,
  },
];
