// The string formats that schemas name, registered once for TypeBox. Ours are strict.
import { FormatRegistry } from "@sinclair/typebox";
import { isUuid, parseTime } from "../base/index.ts";

/** Makes `uuid` and `date-time` known; idempotent. */
export function registerFormats(): void {
  FormatRegistry.Set("uuid", isUuid);
  FormatRegistry.Set("date-time", (text) => parseTime(text) !== null);
}
