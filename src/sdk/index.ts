// The SDK of plugins: `import { definePlugin } from "autokestra/sdk"`. Self-contained, since it is bundled into the runtime folder.
export { definePlugin } from "./define-plugin.ts";
export type { ActionContext, ActionTypes, AnyActions, FailOptions, Fields, Handler, Log, Plugin } from "./plugin.ts";
