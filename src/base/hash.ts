// SHA-256 in one shot (Bun's hasher is several times faster than node:crypto's), and incrementally for streams.

/** SHA-256 as 64 lower-case hex digits. Text is hashed as UTF-8. */
export function sha256Hex(data: string | Uint8Array): string {
  return Bun.SHA256.hash(data, "hex");
}

/** SHA-256 as 32 bytes. */
export function sha256Bytes(data: string | Uint8Array): Uint8Array {
  return new Uint8Array(Bun.SHA256.hash(data).buffer);
}

/** A running SHA-256. */
export function startSha256(): { update(data: string | Uint8Array): void; hex(): string } {
  const hasher = new Bun.CryptoHasher("sha256");
  return { update: (data) => void hasher.update(data), hex: () => hasher.digest("hex") };
}

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text);
}
