export { cleanUp, type CleanUpReport } from "./clean-up.ts";
export { Retention, retentionDays } from "./retention.ts";
export { RunningCleanups } from "./running.ts";
