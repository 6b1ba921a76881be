// Exit codes of a command that a signal ended: 128 and the signal's number.
import type { SignalName } from "./io.ts";

export const signalExits: Readonly<Record<SignalName, number>> = { SIGINT: 130, SIGTERM: 143 };
