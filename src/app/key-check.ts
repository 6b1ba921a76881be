// Whether a server that starts has its store's master key: who has not is told at once, and goes on, since little of its work needs it.
import { toErrorBody } from "../base/index.ts";
import type { Caller } from "../model/index.ts";
import { type AppContext, systemEvent } from "./context.ts";

/** One line and one event when the key is wrong, missing or unsafe. A store without a key has nothing that needs one, and gets none here. */
export async function checkMasterKey(context: AppContext, caller: Caller, onTrouble: (text: string) => void): Promise<void> {
  const { store, vault, ledger } = context;
  if ((await store.findSecretKey()) === null) return;
  try {
    await vault.key();
  } catch (cause) {
    const { code, message, hint } = toErrorBody(cause);
    const fails = "Until that is put right, secrets fail, and so do executions that use them or have sensitive inputs";
    onTrouble(`warning[${code}]: ${message}. ${fails}.${hint === undefined ? "" : ` hint: ${hint}`}`);
    await ledger.commit({ events: [systemEvent(context, caller, { type: "trace.runtime.error", payload: { code, message } })] });
  }
}
