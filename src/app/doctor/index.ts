export { type Check, failed, failedBy, passed, warned } from "./check.ts";
export { examineMachine } from "./examine.ts";
export { modeText } from "./store.ts";
export { checkSandbox } from "./tasks.ts";
