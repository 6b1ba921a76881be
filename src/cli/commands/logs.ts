// execution logs: oldest first for people, the route's own order as JSON; --follow goes on to the end.
import { fail } from "../../base/index.ts";
import type { LogItem } from "../../model/index.ts";
import { logSources } from "../../model/index.ts";
import type { Facade, LogQuery } from "../../app/index.ts";
import type { CliContext } from "../context.ts";
import { parseMoment, parsePage } from "../option-values.ts";
import type { Style } from "../render/style.ts";
import { jsonText, visible, visibleLine } from "../render/visible.ts";
import { signalExits } from "../signals.ts";
import { noteMore } from "./workflows.ts";

type LogValues = {
  id: string;
  limit: string | null;
  cursor: string | null;
  task: string | null;
  level: string | null;
  source: string[];
  since: string | null;
  search: string | null;
  follow: boolean;
};

export async function showLogs(context: CliContext, values: LogValues): Promise<number> {
  const since = parseMoment("--since", values.since, { now: context.io.now(), ago: true });
  const filter = {
    executionId: values.id,
    ...(values.task === null ? {} : { taskId: values.task }),
    ...(values.level === null ? {} : { level: values.level }),
    ...(values.source.length === 0 ? {} : { source: parseSources(values.source) }),
    ...(since === undefined ? {} : { since }),
    ...(values.search === null ? {} : { search: values.search }),
  };
  const page = parsePage(values);
  if (values.follow && (page.limit !== undefined || page.cursor !== undefined))
    throw fail("USAGE", "Cannot follow a page: leave --limit and --cursor out");
  const { facade } = await context.connect();
  if (values.follow) return await followLogs(context, facade, filter);
  await printPage(context, facade, { ...filter, ...page });
  return 0;
}

function parseSources(texts: readonly string[]): string[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((source) => {
      if (!(logSources as readonly string[]).includes(source))
        throw fail("USAGE", `Cannot use --source "${source}": not one of ${logSources.join(", ")}`);
      return source;
    });
}

async function printPage(context: CliContext, facade: Facade, query: LogQuery): Promise<void> {
  if (context.common.json) return context.printJson(await facade.listLogs(query));
  const answer = await facade.listLogs({ ...query, order: "asc" });
  for (const item of answer.items) context.print(renderLogLine(item, context.style));
  noteMore(context, answer.nextCursor);
}

async function followLogs(context: CliContext, facade: Facade, filter: LogQuery): Promise<number> {
  const stop = new AbortController();
  let exit = 0;
  const release = context.io.onSignal((signal) => {
    exit = signalExits[signal];
    stop.abort();
  });
  try {
    const render = (item: LogItem) => (context.common.json ? `${jsonText(item, 0)}\n` : renderLogLine(item, context.style));
    for await (const item of facade.streamLogs(filter, stop.signal)) context.print(render(item));
    return exit;
  } finally {
    stop.abort();
    release();
  }
}

const levelPaints = { DEBUG: "dim", INFO: "blue", WARN: "yellow", ERROR: "red" } as const;

/** `2026-01-02T03:04:05.678Z INFO  fetch[3] stderr | the line`; further lines of a message are indented. */
function renderLogLine(item: LogItem, style: Style): string {
  const task = item.taskId === null ? "execution" : `${item.taskId}${item.itemIndex === null ? "" : `[${item.itemIndex}]`}`;
  const head = `${style.dim(item.time)} ${style[levelPaints[item.level]](item.level.padEnd(5))} ${visibleLine(task)} ${style.dim(item.source)} | `;
  return `${head}${visible(item.message).replaceAll("\n", "\n    ")}\n`;
}
