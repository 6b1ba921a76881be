// Where the launcher keeps the results that later steps of a plan use, and the descriptors that have a fixed number.

/** Slots from `firstFree` on are given out one by one. */
export const slots = {
  supervisor: 0,
  parent: 1,
  proc: 2,
  keeper: 3,
  scratch: 4,
  signals: 5,
  ready: 6,
  ruleset: 7,
  listener: 8,
  mask: 9,
  firstFree: 16,
} as const;

/** 4 and 5 come from the engine; the others are where the lowest free numbers are, which the plan relies on nowhere but
 * for the supervisor's own handle, and there a mistake stops the launch. */
export const descriptors = { plan: 4, notices: 5, supervisorHandle: 7, listener: 60 } as const;

/** The number of the last slot, which takes what nobody needs; the others are below it. */
export const slotCount = 255;
