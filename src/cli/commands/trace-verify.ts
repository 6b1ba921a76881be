// trace verify: proves the store on this machine; a break is exit 7 and names the first bad event.
import { fail } from "../../base/index.ts";
import { brokenChain } from "../../trace/index.ts";
import { openStore } from "../connect.ts";
import type { CliContext } from "../context.ts";

type VerifyValues = { traceId: string | null; all: boolean; state: boolean };

export async function verifyTrace(context: CliContext, { traceId, all, state }: VerifyValues): Promise<void> {
  if (traceId !== null && all) throw fail("USAGE", "Cannot verify one trace and all: leave --trace-id or --all out");
  if (context.common.server !== null)
    throw fail("USAGE", "Cannot verify over HTTP: verification reads the store of this machine", { hint: "Run it where the store is, with --data." });
  const app = await openStore(context, "command");
  const report = await app.verify({ traceId, state });
  if (context.common.json) context.printJson(report);
  if (report.problem !== null) throw brokenChain(report.problem);
  if (context.common.json) return;
  const counted = [`${report.events} events`, `${report.traces} traces`, ...(state ? [`${report.tables} tables`, `${report.blobs} blobs`] : [])];
  context.print(`${context.style.green("OK")}  ${traceId === null ? "every trace" : traceId}: ${counted.join(", ")}\n`);
}
