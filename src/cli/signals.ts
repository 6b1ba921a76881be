// How signals end a command that waits for an execution, and the exit codes they give: 128 and the signal's number.
import type { CliContext } from "./context.ts";
import type { SignalName } from "./io.ts";

export const signalExits: Readonly<Record<SignalName, number>> = { SIGINT: 130, SIGTERM: 143 };

type Reaction = { first: (signal: SignalName) => "wait" | "leave"; second: () => void };

/** The first signal asks, the second ends. A signal that comes before there is anything to cancel counts as the first. */
export function watchSignals(context: CliContext) {
  const left = Promise.withResolvers<null>();
  let exit: number | null = null;
  let pending: SignalName | null = null;
  let reaction: Reaction | null = null;
  const release = context.io.onSignal((signal) => {
    if (exit !== null) {
      reaction?.second();
      left.resolve(null);
      return;
    }
    exit = signalExits[signal];
    if (reaction === null) pending = signal;
    else if (reaction.first(signal) === "leave") left.resolve(null);
  });
  return {
    /** Null once the command is to end without the execution's end. */
    start(to: Reaction): Promise<null> {
      reaction = to;
      if (pending !== null && to.first(pending) === "leave") left.resolve(null);
      return left.promise;
    },
    exitCode: () => exit,
    release,
  };
}
