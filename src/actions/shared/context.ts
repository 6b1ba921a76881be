// What of the SDK's context the built-in actions use, so that they can be called without a process around them.
import type { ActionContext as PluginContext } from "../../sdk/index.ts";

export type ActionContext = Pick<PluginContext, "workdir" | "signal" | "forward" | "log">;
