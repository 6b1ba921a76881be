// AES-256-GCM over one value: the key, its id, and what a row is bound to. Where keys come from is in key-ring.ts.
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { sha256Bytes, toHex } from "../base/index.ts";

/** A master key in memory. Ids are no secret (they are stored beside what the key encrypted), so they are compared as plain text. */
export type MasterKey = { readonly id: string; readonly secret: KeyObject };

/** A value as it is stored; the ciphertext ends with its tag. */
export type Encrypted = { nonce: Uint8Array; ciphertext: Uint8Array };

/** Whose value it is: bound to the ciphertext, so that it opens under no other name, place or key. */
export type Binding =
  | { table: "secrets"; name: string }
  | { table: "sealed_values"; execution_id: string; task: string; item_index: number; member: string };

export const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = "aes-256-gcm";
/** Keeps the id from being the plain digest of a key, which may be known elsewhere. */
const idLabel = Buffer.from("autokestra master key\0");

/** Takes 32 bytes. */
export function masterKey(bytes: Uint8Array): MasterKey {
  const id = toHex(sha256Bytes(Buffer.concat([idLabel, bytes]))).slice(0, 32);
  return { id, secret: createSecretKey(bytes) };
}

/** Random nonces of 96 bits: under one key they may be drawn some four thousand million times before two are likely to meet. */
export function encrypt(key: MasterKey, plain: Uint8Array, at: { binding: Binding; randomBytes: (count: number) => Uint8Array }): Encrypted {
  const nonce = at.randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key.secret, nonce, { authTagLength: tagBytes });
  cipher.setAAD(boundTo(at.binding, key));
  return { nonce, ciphertext: Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]) };
}

/** Null when the value, its nonce or what it is bound to are not what was encrypted. */
export function decrypt(key: MasterKey, { nonce, ciphertext }: Encrypted, binding: Binding): Uint8Array | null {
  if (nonce.byteLength !== nonceBytes || ciphertext.byteLength < tagBytes) return null;
  const cipher = createDecipheriv(algorithm, key.secret, nonce, { authTagLength: tagBytes });
  cipher.setAAD(boundTo(binding, key));
  cipher.setAuthTag(ciphertext.subarray(-tagBytes));
  try {
    return Buffer.concat([cipher.update(ciphertext.subarray(0, -tagBytes)), cipher.final()]);
  } catch {
    // All that can go wrong here is the tag.
    return null;
  }
}

function boundTo(binding: Binding, key: MasterKey): Buffer {
  const parts =
    binding.table === "secrets"
      ? ["secret", binding.name, key.id]
      : ["sealed", binding.execution_id, binding.task, binding.item_index, binding.member, key.id];
  return Buffer.from(JSON.stringify(parts));
}
