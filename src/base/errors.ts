// The one table of error codes: kind, and through the kind the CLI exit code and the HTTP status.
// Every surface (HTTP body, stderr, stored task errors) carries the same envelope, made here.

/** What a kind of error means to a caller (errors.md): CLI exit code, HTTP status, whether a retry may help. */
export const errorKinds = {
  failed: { exit: 1, status: 200, retryable: false },
  usage: { exit: 2, status: 400, retryable: false },
  invalid: { exit: 3, status: 422, retryable: false },
  not_found: { exit: 4, status: 404, retryable: false },
  conflict: { exit: 5, status: 409, retryable: false },
  gone: { exit: 5, status: 410, retryable: false },
  unauthenticated: { exit: 6, status: 401, retryable: false },
  denied: { exit: 6, status: 403, retryable: false },
  integrity: { exit: 7, status: 422, retryable: false },
  incompatible: { exit: 8, status: 409, retryable: false },
  timeout: { exit: 9, status: 504, retryable: true },
  unavailable: { exit: 9, status: 503, retryable: true },
  limit: { exit: 9, status: 429, retryable: true },
  internal: { exit: 70, status: 500, retryable: false },
} as const;

export type ErrorKind = keyof typeof errorKinds;

type CodeEntry = { kind: ErrorKind; means: string; status?: number };
const entry = (kind: ErrorKind, means: string, status?: number): CodeEntry => (status === undefined ? { kind, means } : { kind, means, status });

/** Every permanent error code. A code is never renamed or reused; docs/reference/errors.md is generated from this. */
export const errorCodes = {
  // failed: the operation worked, what it ran did not
  EXECUTION_FAILED: entry("failed", "The execution ended, but not with SUCCESS."),
  PLUGIN_EXIT: entry("failed", "A task's process exited with a code other than 0, or by a signal."),
  TASK_FAILED: entry("failed", "A task failed without a code of its own."),
  EXPRESSION_ERROR: entry("failed", "An expression could not be evaluated, or passed one of its bounds."),
  TASK_MEMORY: entry("failed", "A task used more memory than it may."),
  TASK_LOST: entry("failed", "A task's process died with the server that ran it."),
  TASK_CANCELLED: entry("failed", "A task was cancelled before it ended."),
  TASK_INPUT_INVALID: entry("failed", "A task's inputs do not fit the input schema of its action."),
  PLUGIN_OUTPUT_INVALID: entry("failed", "A task's result does not fit the output schema of its action."),
  HTTP_STATUS: entry("failed", "A server answered with a status of 400 or more."),
  SQL_FAILED: entry("failed", "The database refused a statement."),
  EMAIL_REFUSED: entry("failed", "The mail server refused the mail or a recipient."),
  SSH_EXIT: entry("failed", "A command on another machine exited with a code other than 0, or by a signal."),
  SSH_HOST_KEY: entry("failed", "The other machine's host key is not the known one."),
  GATE_FAILED: entry("failed", "A gate did not pass."),
  PLUGIN_TEST_FAILED: entry("failed", "A test of `workflow plugin test` did not give what it expects."),
  REPLAY_DIVERGED: entry("failed", "A replay decided or produced something else than the recording."),
  DOCTOR_FAILED: entry("failed", "A check of `workflow doctor` failed."),
  // usage
  USAGE: entry("usage", "The command line cannot be understood."),
  BAD_REQUEST: entry("usage", "The query or the body cannot be parsed."),
  METHOD_NOT_ALLOWED: entry("usage", "The route exists, but not with this method.", 405),
  TOO_LARGE: entry("usage", "The body or a value is larger than its limit.", 413),
  UNSUPPORTED_MEDIA_TYPE: entry("usage", "The body's content type is not one that the route takes.", 415),
  // invalid
  BODY_INVALID: entry("invalid", "The body parses, but does not fit its schema."),
  WORKFLOW_INVALID: entry("invalid", "The workflow has errors; the diagnostics name each."),
  INPUT_INVALID: entry("invalid", "The inputs of an execution do not fit the workflow's declaration."),
  OUTPUT_INVALID: entry("invalid", "A value is not I-JSON: too large an integer, NaN or an infinity."),
  SECRETS_MISSING: entry("invalid", "Secrets that the workflow lists do not exist."),
  MANIFEST_INVALID: entry("invalid", "A plugin manifest has errors."),
  CONFIG_INVALID: entry("invalid", "The configuration has errors."),
  CONFIG_MISSING: entry("invalid", "The named configuration file does not exist."),
  SECRET_INVALID: entry("invalid", "A secret's name or value is not one that can be stored."),
  FILE_MODE_UNSAFE: entry("invalid", "Others may read or write a key file, or the folder that it lies in."),
  KEY_INVALID: entry("invalid", "An API key's principal, roles, scopes or expiry are not valid."),
  CARP_INVALID: entry("invalid", "A CARP envelope does not fit its schema."),
  PAYLOAD_INVALID: entry("invalid", "An artifact manifest is not valid."),
  NOT_AVAILABLE_YET: entry("invalid", "The language has this, but this version cannot run it yet."),
  // not_found
  NOT_FOUND: entry("not_found", "No such route."),
  WORKFLOW_NOT_FOUND: entry("not_found", "No such workflow or revision."),
  TRIGGER_NOT_FOUND: entry("not_found", "No such trigger of this workflow."),
  EXECUTION_NOT_FOUND: entry("not_found", "No such execution."),
  TASK_NOT_FOUND: entry("not_found", "No such task run."),
  TRACE_NOT_FOUND: entry("not_found", "No such trace."),
  EVENT_NOT_FOUND: entry("not_found", "No such event."),
  ARTIFACT_NOT_FOUND: entry("not_found", "No such artifact of this execution."),
  BLOB_NOT_FOUND: entry("not_found", "No blob with that digest."),
  PLUGIN_NOT_FOUND: entry("not_found", "No such plugin, or no such action of it."),
  KEY_NOT_FOUND: entry("not_found", "No such API key."),
  SECRET_NOT_FOUND: entry("not_found", "No such secret."),
  SESSION_NOT_FOUND: entry("not_found", "No such session."),
  RESOLUTION_NOT_FOUND: entry("not_found", "No such resolution."),
  SCHEMA_NOT_FOUND: entry("not_found", "No schema of that name."),
  CONFIG_KEY_NOT_FOUND: entry("not_found", "No such configuration key."),
  FILE_NOT_FOUND: entry("not_found", "The file does not exist or cannot be read."),
  IMAGE_NOT_FOUND: entry("not_found", "No such container image, here or in its registry."),
  SERVER_NOT_RUNNING: entry("not_found", "No server runs on this data folder."),
  // conflict
  EXECUTION_STATE: entry("conflict", "The execution's state does not allow this."),
  WORKFLOW_DISABLED: entry("conflict", "The workflow is disabled."),
  CLAIM_LOST: entry("conflict", "Another process owns this now, or wrote first."),
  ALREADY_EXISTS: entry("conflict", "Something with this id exists already."),
  IDEMPOTENCY_MISMATCH: entry("conflict", "The idempotency key was used with another body."),
  PLUGIN_IN_USE: entry("conflict", "Workflows use this plugin."),
  SERVER_RUNNING: entry("conflict", "A server runs on this data folder already."),
  STORE_IN_USE: entry("conflict", "Other processes have the store open."),
  FOLD_FAILED: entry("conflict", "An event does not fit the state it would change."),
  // gone
  SESSION_EXPIRED: entry("gone", "The session has ended."),
  RESOLUTION_EXPIRED: entry("gone", "The resolution has expired."),
  // unauthenticated, denied
  UNAUTHORIZED: entry("unauthenticated", "No valid API key was given."),
  FORBIDDEN: entry("denied", "The key lacks the scope that this needs."),
  PERMISSION_DENIED: entry("denied", "A task did something that it was not granted."),
  ACTION_NOT_IN_RESOLUTION: entry("denied", "The resolution does not offer this action."),
  POLICY_DENIED: entry("denied", "A policy denied this."),
  APPROVAL_DENIED: entry("denied", "The approval was denied or has expired."),
  LICENSE_REQUIRED: entry("denied", "The atlas needs a licence."),
  // integrity
  TRACE_CHAIN_BROKEN: entry("integrity", "The trace is not what was written."),
  PAYLOAD_DIGEST_MISMATCH: entry("integrity", "A file is not what its digest says."),
  SIGNATURE_INVALID: entry("integrity", "A signature does not fit."),
  SECRET_TAMPERED: entry("integrity", "A secret's row was changed or swapped."),
  SECRET_KEY_WRONG: entry("integrity", "The master key is not the one that encrypted this."),
  // incompatible
  STACK_INCOMPATIBLE: entry("incompatible", "The running server cannot take this artifact."),
  STACK_UNOBSERVED: entry("incompatible", "The stack could not be observed."),
  SCHEMA_TOO_NEW: entry("incompatible", "The store was written by a newer version."),
  // timeout, unavailable, limit
  TASK_TIMEOUT: entry("timeout", "A task took longer than its timeout."),
  EXECUTION_TIMEOUT: entry("timeout", "An execution took longer than its timeout."),
  SERVER_UNREACHABLE: entry("unavailable", "The server does not answer."),
  NOT_READY: entry("unavailable", "The server is starting or stopping."),
  STORE_UNAVAILABLE: entry("unavailable", "The store cannot be opened or written."),
  DOCKER_UNAVAILABLE: entry("unavailable", "No container engine answers."),
  SANDBOX_UNAVAILABLE: entry("unavailable", "The sandbox cannot be enforced on this machine."),
  HTTP_TIMEOUT: entry("timeout", "A server did not answer an HTTP request in time."),
  HTTP_UNREACHABLE: entry("unavailable", "A server cannot be reached over HTTP."),
  SQL_UNREACHABLE: entry("unavailable", "The database cannot be reached or refuses to be connected to."),
  EMAIL_UNREACHABLE: entry("unavailable", "The mail server cannot be reached or refuses to be connected to."),
  SSH_UNREACHABLE: entry("unavailable", "The other machine cannot be reached or refuses to be logged in to."),
  STACK_UNREACHABLE: entry("unavailable", "The target server does not answer."),
  QUEUE_FULL: entry("limit", "Too many executions wait already."),
  RATE_LIMITED: entry("limit", "Too many calls."),
  // internal
  INTERNAL: entry("internal", "A mistake in Autokestra itself."),
} as const satisfies Record<string, CodeEntry>;

export type ErrorCode = keyof typeof errorCodes;

/** The inner object of the error envelope, as stored with tasks and executions and sent everywhere. */
export type ErrorBody = {
  code: string;
  kind: ErrorKind;
  message: string;
  details?: Record<string, unknown>;
  hint?: string;
  /** Of the HTTP request that was refused with it. */
  request_id?: string;
};

export type ErrorOptions = { details?: Record<string, unknown>; hint?: string; requestId?: string; cause?: unknown };

/** An error with a permanent code. Match on `code`, never on the class. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;
  readonly hint: string | undefined;
  /** Of the request that a server refused with it. */
  readonly requestId: string | undefined;
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CodedError";
    this.code = code;
    this.details = options.details;
    this.hint = options.hint;
    this.requestId = options.requestId;
  }
}

/** Makes a coded error. Message style: `Cannot show execution "x": no such execution`. */
export function fail(code: ErrorCode, message: string, options: ErrorOptions = {}): CodedError {
  return new CodedError(code, message, options);
}

/** The kind of a code; codes that plugins made up count as `failed`. */
export function kindOf(code: string): ErrorKind {
  return (errorCodes as Record<string, CodeEntry>)[code]?.kind ?? "failed";
}

/** HTTP status of a code: its own where the table gives one, else its kind's. */
export function statusOf(code: string): number {
  return (errorCodes as Record<string, CodeEntry>)[code]?.status ?? errorKinds[kindOf(code)].status;
}

/** CLI exit code of an error code. */
export function exitOf(code: string): number {
  return errorKinds[kindOf(code)].exit;
}

export function isCoded(value: unknown, code?: ErrorCode): value is CodedError {
  return value instanceof CodedError && (code === undefined || value.code === code);
}

/** The envelope's inner object of anything thrown; what is not coded is our bug (`INTERNAL`) and keeps its text only. */
export function toErrorBody(thrown: unknown): ErrorBody {
  if (!isCoded(thrown)) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return { code: "INTERNAL", kind: "internal", message: `Internal error: ${text}` };
  }
  const body: ErrorBody = { code: thrown.code, kind: kindOf(thrown.code), message: thrown.message };
  if (thrown.details !== undefined) body.details = thrown.details;
  if (thrown.hint !== undefined) body.hint = thrown.hint;
  if (thrown.requestId !== undefined) body.request_id = thrown.requestId;
  return body;
}

/** The coded error of an envelope's inner object, as received over HTTP. Unknown codes become `INTERNAL` with the same text. */
export function fromErrorBody(body: ErrorBody): CodedError {
  const known = Object.hasOwn(errorCodes, body.code);
  const options: ErrorOptions = {};
  if (body.details !== undefined) options.details = body.details;
  if (body.hint !== undefined) options.hint = body.hint;
  if (body.request_id !== undefined) options.requestId = body.request_id;
  return fail(known ? (body.code as ErrorCode) : "INTERNAL", known ? body.message : `${body.code}: ${body.message}`, options);
}

/** Checks one of our own assumptions; a failure is our bug. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw fail("INTERNAL", `Assertion failed: ${message}`);
}
