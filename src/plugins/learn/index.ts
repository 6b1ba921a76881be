export { LearnLog } from "./learn-log.ts";
export type { WatchedAttempt } from "./learn-log.ts";
export { leastPermissions } from "./least-permissions.ts";
export type { LearnFacts, Learned } from "./least-permissions.ts";
export { renderLearned } from "./render-learned.ts";
