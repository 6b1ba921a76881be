// Errors of the file system as errors of an action: coded, with the operating system's own words, from which a denial is recognised.
import { type CodedError, fail, isCoded } from "../../base/index.ts";

/** Wraps what the file system threw; a coded error stays as it is. `doing`: such as `read "data.csv"`. */
function wrapFileError(doing: string, thrown: unknown): CodedError {
  if (isCoded(thrown)) return thrown;
  const { code, message } = thrown as { code?: string; message?: string };
  const state = message ?? String(thrown);
  if (code === "ENOENT") return fail("FILE_NOT_FOUND", `Cannot ${doing}: no such file or folder`, { details: { cause: state } });
  return fail("TASK_FAILED", `Cannot ${doing}: ${state}`, { details: { errno: code ?? null } });
}

/** Runs file work and wraps what it throws. */
export async function withFileErrors<T>(doing: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw wrapFileError(doing, cause);
  }
}
