// What a running command works with: the process, the common options, and printing to the right stream.
import { isCoded, toErrorBody } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { CommonOptions } from "./command.ts";
import type { Connection } from "./connect.ts";
import { renderFailure } from "./failure.ts";
import type { CliIo } from "./io.ts";
import { hasColor, loadStyle, type Style } from "./render/style.ts";
import { type Column, renderTable } from "./render/table.ts";
import { jsonText } from "./render/visible.ts";

/** What the configuration is loaded with; `overrides` are dotted keys set by a command's own flags. */
export type ConfigOverrides = Readonly<Record<string, string>>;

export type CliContext = {
  io: CliIo;
  /** The name the program was called by. */
  program: string;
  common: CommonOptions;
  /** Colours for stdout and for stderr. */
  style: Style;
  errorStyle: Style;
  /** Part of the answer, on stdout as it is. */
  print(text: string): void;
  /** The answer as one JSON document. */
  printJson(value: unknown): void;
  /** The answer as a table. */
  printTable<T>(rows: readonly T[], columns: readonly Column<T>[]): void;
  /** A line for people on stderr; `--quiet` drops it, and so does `--json`. */
  note(text: string): void;
  /** A line that people must see: also with `--json`, where it stands before the envelope. `--quiet` drops it. */
  remark(text: string): void;
  /** A remark on a danger, which `--quiet` does not drop either. */
  warn(text: string): void;
  /** A note said only with `--verbose`. */
  detail(text: string): void;
  /** An error on stderr that does not end the command by itself. */
  printError(thrown: unknown): void;
  /** The first call decides: the same answer for the whole command. */
  loadConfig(overrides?: ConfigOverrides): Promise<LoadedConfig>;
  connect(): Promise<Connection>;
  /** Runs at the end of the command, however it ends; the last one first. */
  onEnd(close: () => Promise<void>): void;
};

export type OpenContext = { context: CliContext; end(): Promise<void> };

export async function openContext(io: CliIo, program: string, common: CommonOptions): Promise<OpenContext> {
  const color = { noColorFlag: common.noColor, env: io.env };
  const style = await loadStyle(hasColor({ ...color, isTty: io.stdoutIsTty }));
  const errorStyle = await loadStyle(hasColor({ ...color, isTty: io.stderrIsTty }));
  let loaded: LoadedConfig | null = null;
  const closers: (() => Promise<void>)[] = [];
  const context: CliContext = {
    io,
    program,
    common,
    style,
    errorStyle,
    print: (text) => io.stdout(text),
    // For programs the body is as the route sends it; a person at a terminal gets it laid out.
    printJson: (value) => io.stdout(`${jsonText(value, io.stdoutIsTty ? 2 : 0)}\n`),
    printTable: (rows, columns) => io.stdout(renderTable(rows, columns, { style, columns: io.stdoutIsTty ? io.columns() : null })),
    note: (text) => {
      if (!common.quiet && !common.json) io.stderr(`${text}\n`);
    },
    remark: (text) => {
      if (!common.quiet) io.stderr(`${text}\n`);
    },
    warn: (text) => io.stderr(`${text}\n`),
    detail: (text) => {
      if (common.verbose && !common.quiet && !common.json) io.stderr(`${text}\n`);
    },
    printError: (thrown) => io.stderr(renderFailure(toErrorBody(thrown), { json: common.json, style: errorStyle, verbose: common.verbose })),
    async loadConfig(overrides = {}) {
      const { loadConfig } = await import("../config/index.ts");
      loaded ??= loadConfig({ flags: configFlags(common, overrides), env: { ...io.env }, cwd: io.cwd });
      return loaded;
    },
    async connect() {
      const { connect } = await import("./connect.ts");
      const connection = await connect(context);
      closers.push(connection.close);
      return connection;
    },
    onEnd: (close) => void closers.push(close),
  };
  return { context, end: () => closeAll(closers, context) };
}

async function closeAll(closers: (() => Promise<void>)[], context: CliContext): Promise<void> {
  for (const close of closers.splice(0).toReversed()) {
    try {
      await close();
    } catch (thrown) {
      // The command's own end counts; a failed close is said, not thrown over it.
      if (!isCoded(thrown) || context.common.verbose) context.printError(thrown);
    }
  }
}

function configFlags(common: CommonOptions, overrides: ConfigOverrides) {
  return {
    ...(common.config === null ? {} : { config: common.config }),
    ...(common.data === null ? {} : { data: common.data }),
    ...(common.server === null ? {} : { server: common.server }),
    ...(common.apiKey === null ? {} : { apiKey: common.apiKey }),
    set: overrides,
  };
}
