// Looks up what the profile has to know of the disk: which files the start of a program executes, and where the keychain is.

import { closeSync, openSync, readSync, realpathSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import type { MacPlaces } from "./profile.ts";

const headBytes = 512;
/** `#!/usr/bin/env NAME`-like chains end here; the kernel itself follows one interpreter. */
const chainMax = 4;
/** What /bin/sh stands for is a setting of the system. */
const shells = ["/bin/bash", "/bin/dash", "/bin/zsh"];

/** @throws nothing: what is not there is left out, and the start then fails by itself */
export function lookUpPlaces(program: string): MacPlaces {
  return { starts: startsOf(program), closed: [realPath(join(userInfo().homedir, "Library/Keychains"))].filter((path) => path !== null) };
}

/** The program, its interpreter, and the files to which known programs hand themselves over without starting another process. */
function startsOf(program: string): string[] {
  const found = new Set<string>();
  let next = [program];
  for (let depth = 0; depth < chainMax && next.length > 0; depth++) {
    const real = next.map(realPath).filter((path) => path !== null && !found.has(path)) as string[];
    for (const path of real) found.add(path);
    next = real.flatMap(handsOverTo);
  }
  return [...found];
}

function handsOverTo(file: string): string[] {
  const interpreter = interpreterOf(file);
  return [
    ...(interpreter === null ? [] : [interpreter]),
    ...(file === "/bin/sh" ? shells : []),
    // Stubs of the developer tools, among them git and python3.
    ...(dirname(file) === "/usr/bin" ? [join("/Library/Developer/CommandLineTools/usr/bin", basename(file))] : []),
    // A framework's python is a stub for the one in its application.
    ...(/\/Python\.framework\/Versions\/[^/]+\/bin\/[^/]+$/.test(file) ? [join(file, "../../Resources/Python.app/Contents/MacOS/Python")] : []),
  ];
}

function interpreterOf(file: string): string | null {
  const head = new Uint8Array(headBytes);
  try {
    const opened = openSync(file, "r");
    try {
      readSync(opened, head, 0, headBytes, 0);
    } finally {
      closeSync(opened);
    }
  } catch {
    return null; // not readable: then it is no script either
  }
  return /^#![ \t]*(\/[^\s\0]+)/.exec(Buffer.from(head).toString("latin1"))?.[1] ?? null;
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
