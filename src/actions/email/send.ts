// `core/email.send`: one mail over SMTP, reached through the forwarder while TLS verifies the real name.
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { basename } from "node:path";
import { createTransport, type SendMailOptions } from "nodemailer";
import { type JsonObject, parseDuration } from "../../base/index.ts";
import { smtpPortOf } from "../../model/index.ts";
import type { ActionContext } from "../shared/context.ts";
import { failure, inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath } from "../shared/paths.ts";

type Addresses = string | string[];
type Attachment = { path?: string; content?: string; filename?: string; contentType?: string };
type EmailInput = {
  host: string;
  port?: number;
  security?: "tls" | "starttls" | "none";
  auth?: { user: string; password: string };
  tls?: { ca?: string; insecure?: boolean };
  from: string;
  to?: Addresses;
  cc?: Addresses;
  bcc?: Addresses;
  replyTo?: Addresses;
  subject?: string;
  text?: string;
  html?: string;
  headers?: Record<string, string>;
  attachments?: Attachment[];
  timeout?: string;
};

/** Mail servers take about this much; all of it is in memory while it is sent. */
const attachmentBytesMax = 25 * 1024 * 1024;
/** Written by the action itself from its own inputs: given twice they would contradict each other. */
const ownHeaders = new Set(["from", "to", "cc", "bcc", "reply-to", "sender", "subject", "content-type", "content-transfer-encoding", "mime-version"]);

/** {messageId, accepted, rejected}. @throws EMAIL_REFUSED, EMAIL_UNREACHABLE, TASK_INPUT_INVALID, FILE_NOT_FOUND, TOO_LARGE */
export async function sendMail(given: JsonObject, context: ActionContext): Promise<JsonObject> {
  const input = given as unknown as EmailInput;
  const port = smtpPortOf(input);
  if (port === null) throw inputError("Cannot send a mail: the port is not known");
  const message = await buildMessage(input);
  const transport = createTransport(await transportOf(input, port, context));
  const stop = (): void => transport.close();
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    const { messageId, accepted, rejected } = await transport.sendMail(message);
    return { messageId, accepted: accepted.map(textOf), rejected: rejected.map(textOf) };
  } catch (cause) {
    throw mailError(cause as SmtpError, `${input.host}:${port}`);
  } finally {
    context.signal.removeEventListener("abort", stop);
    transport.close();
  }
}

function textOf(address: string | { address: string }): string {
  return typeof address === "string" ? address : address.address;
}

async function transportOf(input: EmailInput, port: number, context: ActionContext) {
  const { host, auth, tls = {}, timeout = "30s" } = input;
  const isLocal = /^(?:127\.\d+\.\d+\.\d+|\[?::1\]?|localhost)$/.test(host);
  // What stays on this machine nobody else can read: there TLS is used where the server offers it.
  const security = input.security ?? (isLocal ? "offered" : "starttls");
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === null) throw inputError(`Cannot read timeout "${timeout}": not a duration`);
  if (auth !== undefined && security === "none" && !isLocal)
    throw inputError("Cannot log in without TLS: the password would be sent for all to read", "Use security: starttls or tls.");
  const name = host.replace(/^\[|\]$/g, "");
  const target = context.forward(name, port);
  const { ca } = tls;
  const pem = ca === undefined || ca.includes("-----BEGIN") ? ca : await withFileErrors(`read "${ca}"`, () => readFileSync(resolvePath(ca), "utf8"));
  return {
    host: target.host,
    port: target.port,
    secure: security === "tls",
    requireTLS: security === "starttls",
    ignoreTLS: security === "none",
    ...(auth === undefined ? {} : { auth: { user: auth.user, pass: auth.password } }),
    tls: {
      // An address is verified as such; the extension that names the server takes names only.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      rejectUnauthorized: tls.insecure !== true,
      ...(pem === undefined ? {} : { ca: pem }),
    },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    // Paths and URLs in a message are nobody's grant; attachments are read here.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

async function buildMessage(input: EmailInput): Promise<SendMailOptions> {
  const { from, to, cc, bcc, replyTo, subject = "", text, html, headers = {}, attachments = [] } = input;
  const recipients = [to, cc, bcc].flat().filter((one) => one !== undefined && one.trim() !== "");
  if (recipients.length === 0) throw inputError("Cannot send a mail: neither to, cc nor bcc names anybody");
  for (const value of [from, subject, ...recipients, ...[replyTo].flat(), ...Object.entries(headers).flat()]) refuseBreaks(value);
  for (const name of Object.keys(headers)) {
    if (!/^[!-9;-~]+$/.test(name)) throw inputError("Cannot send a mail: a header's name has characters that names cannot have");
    if (ownHeaders.has(name.toLowerCase()))
      throw inputError(`Cannot send the header "${name}": it has an input of its own, or is written by the mail's form`);
  }
  return {
    from,
    ...given({ to, cc, bcc, replyTo, text, html }),
    subject,
    headers,
    attachments: await readAttachments(attachments),
  };
}

function given<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: Exclude<T[Name], undefined>;
  };
}

/** A line break would begin another header, or another recipient. */
function refuseBreaks(value: string | undefined): void {
  if (value !== undefined && /[\r\n\0]/.test(value)) throw inputError("Cannot send a mail: an address, the subject or a header holds a line break");
}

async function readAttachments(list: readonly Attachment[]): Promise<NonNullable<SendMailOptions["attachments"]>> {
  const made = [];
  let bytes = 0;
  for (const { path, content, filename, contentType } of list) {
    if ((path === undefined) === (content === undefined)) throw inputError("Cannot attach: give either path or content");
    for (const value of [filename, contentType]) refuseBreaks(value);
    const body = path === undefined ? Buffer.from(content ?? "") : await readAttachment(path, attachmentBytesMax - bytes);
    bytes += body.byteLength;
    if (bytes > attachmentBytesMax) throw tooLarge();
    const name = filename ?? (path === undefined ? "attachment.txt" : basename(path));
    made.push({ content: body, filename: name, ...given({ contentType }) });
  }
  return made;
}

function readAttachment(path: string, bytesMax: number): Promise<Buffer> {
  return withFileErrors(`attach "${path}"`, () => {
    const resolved = resolvePath(path);
    const status = statSync(resolved);
    if (!status.isFile()) throw inputError(`Cannot attach "${path}": it is no file`);
    if (status.size > bytesMax) throw tooLarge();
    return readFileSync(resolved);
  });
}

function tooLarge(): Error {
  return failure("TOO_LARGE", `Cannot send a mail: its attachments have more than ${attachmentBytesMax} bytes`, {
    details: { attachmentBytesMax },
    retryable: false,
  });
}

type SmtpError = Error & { code?: string; responseCode?: number; command?: string; rejected?: (string | { address: string })[] };

/** The server's answers carry a code: 4xx may be another time, 5xx will not. What it says of logins may repeat them, so it is left out. */
function mailError(cause: SmtpError, target: string): Error {
  const { code, responseCode } = cause;
  const status = responseCode ?? null;
  const isLogin = code === "EAUTH" || code === "ENOAUTH" || code === "EOAUTH2";
  const details = { target, cause: code ?? null, status, ...(cause.rejected === undefined ? {} : { rejected: cause.rejected.map(textOf) }) };
  if (isLogin)
    return failure("EMAIL_UNREACHABLE", `Cannot log in to the mail server ${target}: it refused the user or the password`, {
      details,
      retryable: status !== null && status < 500,
    });
  if (status !== null)
    return failure("EMAIL_REFUSED", `The mail server ${target} refused the mail: ${cause.message}`, { details, retryable: status < 500 });
  if (code === "EENVELOPE" || code === "EMESSAGE")
    return failure("EMAIL_REFUSED", `Cannot send a mail: ${cause.message}`, { details, retryable: false });
  const isSettled = code === "ETLS" || /CERT|SELF_SIGNED|ALTNAME|ISSUER/.test(code ?? "") || /certificate/i.test(cause.message);
  return failure("EMAIL_UNREACHABLE", `Cannot reach the mail server ${target}: ${cause.message}`, { details, retryable: !isSettled });
}
