// What a secret may be called, and how long its value may be. No message here quotes either: what was meant as a value may stand
// in the name's place.
import { fail, limits } from "../base/index.ts";

export const secretNamePattern = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";
const namePattern = new RegExp(secretNamePattern);

function isSecretName(text: string): boolean {
  return namePattern.test(text);
}

/** @throws SECRET_INVALID */
export function checkSecretName(name: string): void {
  if (isSecretName(name)) return;
  const hint = "A name is a letter or _, then at most 127 letters, digits or _; the value does not stand in it.";
  throw fail("SECRET_INVALID", "Cannot store the secret: its name is not one that a secret can have", { hint });
}

/** @throws SECRET_INVALID */
export function checkSecretSize(bytes: number): void {
  const bytesMax = limits.secretBytesMax;
  if (bytes >= 1 && bytes <= bytesMax) return;
  const why = bytes === 0 ? "its value is empty" : `its value is larger than ${bytesMax} bytes`;
  throw fail("SECRET_INVALID", `Cannot store the secret: ${why}`, { details: { bytesMin: 1, bytesMax } });
}

/** Whether a value is long enough to be found, and so masked, in what tasks write. */
export function isMaskable(bytes: number): boolean {
  return bytes >= limits.maskedBytesMin;
}
