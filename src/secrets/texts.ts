// What a secret's bytes are as text: in expressions, on the wire, and in what has to be masked.

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text for bytes that are UTF-8, else null. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** What expressions see: the text, or base64 of bytes that are none. */
export function expressionText(bytes: Uint8Array): string {
  return utf8Text(bytes) ?? bytes.toBase64();
}

/** What is masked for a secret: what expressions see, and what logs show of bytes that are no text. */
export function maskTexts(bytes: Uint8Array): string[] {
  const text = utf8Text(bytes);
  return text === null ? [bytes.toBase64(), new TextDecoder().decode(bytes)] : [text];
}
