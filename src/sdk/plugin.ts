// What a plugin author writes against: the shape of a plugin and what each call is given. Types only, published as they are.

/** Inputs and outputs by action name; `workflow plugin types` writes one from a manifest. */
export type ActionTypes = Record<string, { input: unknown; output: unknown }>;
/** What an action takes and gives when nothing more is known. */
export type AnyActions = Record<string, { input: Record<string, unknown>; output: unknown }>;

/** One action. Its method form lets a handler name a narrower input than the schema-less default. */
export type Handler<Input, Output> = { handle(input: Input, context: ActionContext): Output | Promise<Output> }["handle"];

export type Plugin<Types extends ActionTypes> = {
  actions: { [Name in keyof Types]: Handler<Types[Name]["input"], Types[Name]["output"]> };
};

export type Fields = Record<string, unknown>;

export type Log = {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
};

export type FailOptions = {
  /** Shown with the error. */
  details?: Fields;
  /** Whether trying again may help; by default it may. */
  retryable?: boolean;
};

export type ActionContext = {
  executionId: string;
  taskId: string;
  /** From 1. */
  attempt: number;
  /** Absolute path of the call's own folder, removed after it; what lies in its `out` becomes artifacts. */
  workdir: string;
  /** RFC 3339; null without a timeout. */
  deadline: string | null;
  /** The same for all attempts of one task of one execution. */
  idempotencyKey: string;
  log: Log;
  /** Tells how far the call is, from 0 to 1. */
  progress(share: number, text?: string): void;
  /** Aborts when the engine asks the call to end. Without a use of it the process simply ends then. */
  signal: AbortSignal;
  /** Keeps a file as an artifact; a relative path starts at `workdir`. */
  artifact(path: string): void;
  /** Where to connect to for a granted `host:port`, for clients that speak no HTTP proxy. */
  forward(host: string, port: number): { host: string; port: number };
  /** Ends the call with an error of that code, in UPPER_SNAKE. */
  fail(code: string, message: string, options?: FailOptions): never;
};
