// What shows an execution while it runs: a live tree on a terminal, plain lines elsewhere, nothing when quiet.
import type { Progress } from "../../app/index.ts";
import type { CliContext } from "../context.ts";

export type ProgressView = {
  update(progress: Progress): void;
  /** A line for people that is no progress. */
  note(text: string): void;
  /** Leaves the terminal as it was. May be called twice. */
  end(): void;
};

export type ViewSubject = { title: string; taskIds: readonly string[] };

/** Chooses the view that fits where stderr goes. */
export async function openProgressView(context: CliContext, subject: ViewSubject): Promise<ProgressView> {
  const { common, io } = context;
  if (common.quiet || common.json) return { update: () => {}, note: context.note, end: () => {} };
  if (!io.stderrIsTty || io.env["TERM"] === "dumb") {
    const { openPlainView } = await import("./plain-view.ts");
    return openPlainView(context);
  }
  const { openTreeView } = await import("./tree-view.ts");
  return openTreeView(context, subject);
}
