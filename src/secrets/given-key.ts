// A key that a person gave as text: 64 hex digits are the key itself, anything else is a passphrase.
import { scrypt } from "node:crypto";
import { fromHex } from "../base/index.ts";
import { keyBytes, type MasterKey, masterKey } from "./cipher.ts";

export interface GivenKey {
  readonly source: "hex" | "passphrase";
  /** The key; a passphrase is run through scrypt with the salt (hex), and has no key without one. */
  keyFor(salt: string | null): Promise<MasterKey | null>;
}

/** What a key file holds, and what is no passphrase. */
export const hexKey = /^[0-9a-fA-F]{64}$/;

// scrypt's interactive setting doubled: 32 MiB and some 80 ms, which every command that opens a secret pays once. Memory is what makes
// guessing dear; the passphrase of a server is long, and more would only make every start slower.
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;

export const saltBytes = 16;

/** Null for null. The last derived key is kept, so that scrypt runs once per process and salt. */
export function givenKey(text: string | null): GivenKey | null {
  if (text === null) return null;
  if (hexKey.test(text)) {
    const key = masterKey(fromHex(text));
    return { source: "hex", keyFor: async () => key };
  }
  let last: { salt: string; key: Promise<MasterKey> } | null = null;
  const keyFor = async (salt: string | null) => {
    if (salt === null) return null;
    if (last?.salt !== salt) last = { salt, key: derive(text, salt) };
    return last.key;
  };
  return { source: "passphrase", keyFor };
}

const passphraseCharsMin = 8;
/** Digits that someone lost or doubled while copying a key. */
const nearlyHexKey = /^[0-9a-fA-F]{40,100}$/;

/** What is likely wrong with the text of a key, to stand after its name; null for nothing. The text is not quoted. */
export function findKeyDoubt(text: string): string | null {
  if (hexKey.test(text)) return null;
  if (nearlyHexKey.test(text)) return `has ${text.length} hex digits, not the 64 of a key: it was taken as a passphrase`;
  return [...text].length < passphraseCharsMin ? `is a passphrase of fewer than ${passphraseCharsMin} characters, which is easily guessed` : null;
}

/** On a thread of the runtime's: the event loop goes on. */
function derive(passphrase: string, salt: string): Promise<MasterKey> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, fromHex(salt), keyBytes, cost, (error, bytes) => {
      // Bun gives undefined where the types say null.
      if (error instanceof Error) reject(error);
      else resolve(masterKey(bytes));
    });
  });
}
