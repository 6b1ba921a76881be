// Errors of actions: coded like all others, with what the code alone cannot tell, whether a retry may help.
import { type CodedError, type ErrorCode, type ErrorOptions, fail } from "../../base/index.ts";

/** An error that says of itself whether it is worth trying again; the result frame carries that. */
export function failure(code: ErrorCode, message: string, options: ErrorOptions & { retryable: boolean }): CodedError & { retryable: boolean } {
  const { retryable, ...rest } = options;
  return Object.assign(fail(code, message, rest), { retryable });
}

/** Wrong inputs, which no retry mends. */
export function inputError(message: string, hint?: string): CodedError {
  return fail("TASK_INPUT_INVALID", message, hint === undefined ? {} : { hint });
}
