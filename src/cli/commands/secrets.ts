// secrets set, get, list, delete, rotate-key: all of them over the routes, with or without a server. A value is printed by get alone.
import { join } from "node:path";
import { fail, limits } from "../../base/index.ts";
import { checkSecretName, checkSecretSize, isMaskable, type Secret, type SecretKeyRotation } from "../../model/index.ts";
import { connectHttp } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { parsePage } from "../option-values.ts";
import { countOf } from "../render/count.ts";
import { visibleLine } from "../render/visible.ts";
import { signalExits } from "../signals.ts";
import { decodeText } from "../source-file.ts";
import { noteMore } from "./workflows.ts";

const newline = 0x0a;
const carriageReturn = 0x0d;
const lineEndBytesMax = 2;

export async function setSecret(context: CliContext, { name, value }: { name: string; value: string | null }): Promise<number> {
  // Before anything is asked or sent: a value that stands in the name's place is to get nowhere, a URL least of all.
  checkSecretName(name);
  const given = value === null ? await readValue(context, name) : readArgument(context, value);
  if (typeof given === "number") return given;
  checkSecretSize(given.length);
  const { facade } = await connectHttp(context);
  await facade.setSecret(encode(name, given));
  if (!isMaskable(given.length))
    context.warn(`Warning: ${name} is shorter than ${limits.maskedBytesMin} bytes and is not masked where tasks write it.`);
  context.note(`Stored ${name}.`);
  return 0;
}

function readArgument(context: CliContext, value: string): Uint8Array {
  // What the shell gave in other bytes has become this character: the value would be another one.
  if (value.includes("\uFFFD") || !value.isWellFormed())
    throw fail("USAGE", "Cannot take the value: it is not UTF-8", { hint: "Give it through a pipe: workflow secrets set NAME < FILE" });
  context.warn("Warning: a value in the command line is seen in the list of processes and in the shell's history. Leave it out, or pipe it.");
  return new TextEncoder().encode(value);
}

/** The value's bytes, or the exit code of a signal that came while it was asked for. */
async function readValue({ io }: CliContext, name: string): Promise<Uint8Array | number> {
  if (!io.stdinIsTty) return withoutLineEnd(io.readStdinUpTo(limits.secretBytesMax + lineEndBytesMax + 1));
  const { text, signal } = await io.readLine(`Value of ${name} (not shown): `, false);
  return signal === null ? new TextEncoder().encode(text) : signalExits[signal];
}

/** `echo x |` means x, on whichever system; more lines than one, and what is no text, are meant as they are. */
function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - 1;
  if (end < 0 || bytes.indexOf(newline) !== end || decodeText(bytes) === null) return bytes;
  return bytes.subarray(0, bytes[end - 1] === carriageReturn ? end - 1 : end);
}

function encode(name: string, bytes: Uint8Array): Secret {
  const text = decodeText(bytes);
  return text === null ? { name, value: bytes.toBase64(), encoding: "base64" } : { name, value: text };
}

export async function getSecret(context: CliContext, { name }: { name: string }): Promise<void> {
  const { facade } = await connectHttp(context);
  const secret = await facade.getSecret(name);
  if (context.common.json) return context.printJson(secret);
  context.io.stdout(secret.encoding === "base64" ? Uint8Array.fromBase64(secret.value) : secret.value);
  if (context.io.stdoutIsTty) context.print("\n");
}

export async function listSecrets(context: CliContext, values: { limit: string | null; cursor: string | null }): Promise<void> {
  const query = parsePage(values);
  const { facade } = await connectHttp(context);
  const page = await facade.listSecrets(query);
  if (context.common.json) return context.printJson(page);
  if (page.secrets.length === 0) return context.note("No secrets. Store one with: workflow secrets set NAME");
  context.printTable(page.secrets, [
    { title: "NAME", value: (row) => row.name },
    { title: "CREATED", value: (row) => row.createdAt },
    { title: "UPDATED", value: (row) => row.updatedAt },
  ]);
  noteMore(context, page.nextCursor);
}

export async function deleteSecret(context: CliContext, { name, force }: { name: string; force: boolean }): Promise<number> {
  if (!force) {
    const answer = await confirm(context, name);
    if (typeof answer === "number") return answer;
    if (!answer) {
      context.note(`Kept ${visibleLine(name)}.`);
      return 0;
    }
  }
  const { facade } = await connectHttp(context);
  await facade.deleteSecret(name);
  context.note(`Deleted ${visibleLine(name)}.`);
  return 0;
}

/** The answer, or the exit code of a signal in its place. @throws USAGE where there is nobody to ask */
async function confirm({ io }: CliContext, name: string): Promise<boolean | number> {
  if (!io.stdinIsTty) throw fail("USAGE", `Cannot delete secret "${name}": there is nobody to ask`, { hint: "Say that it is meant with --force." });
  const { text, signal } = await io.readLine(`Delete secret ${visibleLine(name)}? It cannot be brought back. [y/N] `, true);
  return signal === null ? /^\s*y(es)?\s*$/i.test(text) : signalExits[signal];
}

export async function rotateKey(context: CliContext): Promise<void> {
  const { facade, loaded } = await connectHttp(context);
  const rotation = await facade.rotateSecretKey();
  if (context.common.json) return context.printJson(rotation);
  const { keyId, secrets, sealedValues } = rotation;
  context.note(`Encrypted ${countOf(secrets, "secret")} and ${countOf(sealedValues, "sealed value")} with the new key ${keyId}.`);
  const { keyFolder } = await import("../../app/index.ts");
  context.note(placeOf(rotation, loaded === null ? null : join(keyFolder(loaded), "secret.key")));
}

/** `file`: the key file, where it is of this machine. */
function placeOf({ source }: SecretKeyRotation, file: string | null): string {
  if (source === "file")
    return `The new key is ${file ?? "in keys/secret.key beside the server's store"}. Back it up: without it no secret can be read.`;
  const form = source === "hex" ? "key" : "passphrase";
  return `The new ${form} is that of AUTOKESTRA_SECRET_KEY. Start the server with it from now on, and keep it: without it no secret can be read.`;
}
