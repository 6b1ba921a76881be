// Searches everything that an execution left behind for values that must not be there, in all the ways in which they get around.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { encodings } from "./encodings.ts";

export type Find = { where: string; secret: string; encoding: string };

type Needle = { secret: string; encoding: string; bytes: Buffer };

/** Short forms would be found by chance. */
const needleBytesMin = 8;

/** What is looked for: by name of the secret, each form and each of its lines. */
export function needlesOf(secrets: Readonly<Record<string, string>>): Needle[] {
  const seen = new Set<string>();
  return Object.entries(secrets).flatMap(([secret, value]) =>
    Object.entries(encodings).flatMap(([encoding, encode]) =>
      cores(encoding, encode(value))
        .filter((text) => Buffer.byteLength(text) >= Math.min(needleBytesMin, Buffer.byteLength(value)) && !seen.has(text) && seen.add(text))
        .map((text) => ({ secret, encoding, bytes: Buffer.from(text) })),
    ),
  );
}

/** Of a form only what depends on the value: quotes and padding may be there or not, and the first and last characters may hold what is beside it. */
function cores(encoding: string, text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/^-- /, ""));
  const trimmed = lines.map((line) => line.replace(/^["'\\]+|["'\\]+$/g, "").replace(/=+$/, ""));
  if (encoding === "base64 after one byte" || encoding === "base64 after two bytes") return trimmed.map((line) => line.slice(4, -2));
  if (encoding === "base64 within") return trimmed.map((line) => line.slice(8, -8));
  if (encoding === "base64 of JSON") return trimmed.map((line) => line.slice(4, -4));
  if (encoding.startsWith("base")) return trimmed.map((line) => line.slice(0, -1));
  return trimmed;
}

export function findIn(where: string, bytes: Uint8Array | string, needles: readonly Needle[]): Find[] {
  const hay = typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
  return needles.filter((needle) => hay.includes(needle.bytes)).map(({ secret, encoding }) => ({ where, secret, encoding }));
}

/** Every file below a folder. */
export function findBelow(folder: string, needles: readonly Needle[]): Find[] {
  const finds: Find[] = [];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    finds.push(...findIn(`name ${relative(folder, path)}`, entry.name, needles));
    if (entry.isFile() && statSync(path).size < 512 * 1024 * 1024) finds.push(...findIn(relative(folder, path), readFileSync(path), needles));
  }
  return finds;
}

/** Command lines of all processes, and environments of those that are no task. */
export function findInProcesses(needles: readonly Needle[], isTask: (command: string) => boolean): Find[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = readProc(pid, "cmdline");
      const environment = isTask(command.toString()) ? Buffer.alloc(0) : readProc(pid, "environ");
      return [
        ...findIn(`command line ${pid} ${command.toString().slice(0, 80)}`, command, needles),
        ...findIn(`environment ${pid}`, environment, needles),
      ];
    });
}

function readProc(pid: string, name: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${name}`);
  } catch {
    return Buffer.alloc(0);
  }
}
