export { backfillTrigger } from "./backfill.ts";
export { waitingRemovals } from "./due-runs.ts";
export { FileWatches } from "./file-watches.ts";
export { readTriggerHealth } from "./health.ts";
export { Scheduler } from "./scheduler.ts";
export { startByTrigger, type TriggerStart } from "./start.ts";
