// The pack that the build embeds: the SDK and the built-in actions as one file, with its list as the first line.
import { readFileSync } from "node:fs";
import { fail } from "../../base/index.ts";

export type PackedFile = { path: string; bytes: number; sha256: string };
/** `sha256`: over the list, and so over all files. */
export type Pack = { sha256: string; files: PackedFile[]; body: Uint8Array };

const newline = 10;

/** @throws INTERNAL when the program was built without a pack, or runs from source before a build */
export async function openPack(): Promise<Pack> {
  const bytes = readFileSync(await findPack());
  const end = bytes.indexOf(newline);
  const { sha256, files } = JSON.parse(bytes.subarray(0, end).toString("utf8")) as Omit<Pack, "body">;
  return { sha256, files, body: bytes.subarray(end + 1) };
}

async function findPack(): Promise<string> {
  try {
    // Not at the top: what runs from source must load without a build.
    const { default: file } = await import("../../../dist/runtime.pack", { with: { type: "file" } });
    return file;
  } catch (cause) {
    throw fail("INTERNAL", "Cannot find what plugins run with: dist/runtime.pack is missing", { cause, hint: "Run `npm run build` first." });
  }
}

/** Every file of the pack with its bytes. */
export function packedFiles({ files, body }: Pack): { path: string; bytes: Uint8Array }[] {
  let at = 0;
  return files.map(({ path, bytes }) => {
    const part = body.subarray(at, at + bytes);
    at += bytes;
    return { path, bytes: part };
  });
}
