// Times of cron expressions where clocks change and months end. The tables are wall clocks as the zone database has them, checked with
// `zdump -v` for these years; they are written out, so that no code of ours takes part in making them.
import { describe, expect, test } from "bun:test";
import { findCronProblem, newestCronTimes, nextCronTime, nextCronTimes } from "../../../../src/workflow/schedule/cron-times.ts";

type Row = [cron: string, timezone: string, from: string, to: string, times: string[]];

function timesBetween(cron: string, timezone: string, from: string, to: string): string[] {
  const times: string[] = [];
  for (let at = nextCronTime({ cron, timezone }, Date.parse(from) - 1); at !== null && at < Date.parse(to); at = nextCronTime({ cron, timezone }, at))
    times.push(new Date(at).toISOString().replace(":00.000Z", "Z"));
  return times;
}

// 02:00–03:00 is left out in spring, 02:00–03:00 comes twice in autumn; changes at 01:00 UTC.
const paris: Row[] = [
  ["30 2 * * *", "Europe/Paris", "2025-03-29T00:00:00Z", "2025-04-01T00:00:00Z", ["2025-03-29T01:30Z", "2025-03-30T01:00Z", "2025-03-31T00:30Z"]],
  ["30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]],
  ["30 2 * * *", "Europe/Paris", "2027-03-27T12:00:00Z", "2027-03-29T12:00:00Z", ["2027-03-28T01:00Z", "2027-03-29T00:30Z"]],
  ["30 2 * * *", "Europe/Paris", "2025-10-25T12:00:00Z", "2025-10-27T12:00:00Z", ["2025-10-26T00:30Z", "2025-10-27T01:30Z"]],
  ["30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]],
  ["30 2 * * *", "Europe/Paris", "2027-10-30T12:00:00Z", "2027-11-01T12:00:00Z", ["2027-10-31T00:30Z", "2027-11-01T01:30Z"]],
  // Several times in the gap are one moment; the time after it is its own.
  ["*/15 2 * * *", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z", ["2026-03-29T01:00Z"]],
  ["0 2,3 * * *", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z", ["2026-03-29T01:00Z"]],
  ["30 2-3 * * *", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z", ["2026-03-29T01:00Z", "2026-03-29T01:30Z"]],
  // A list or range names the hours; steps of the minute do not change that.
  [
    "0,30 1-2 * * *",
    "Europe/Paris",
    "2026-10-24T22:00:00Z",
    "2026-10-25T12:00:00Z",
    ["2026-10-24T23:00Z", "2026-10-24T23:30Z", "2026-10-25T00:00Z", "2026-10-25T00:30Z"],
  ],
  ["*/30 2 * * *", "Europe/Paris", "2026-10-25T00:00:00Z", "2026-10-25T12:00:00Z", ["2026-10-25T00:00Z", "2026-10-25T00:30Z"]],
  // Every real hour: 24 of them are 23 in spring and 25 in autumn.
  ["30 * * * *", "Europe/Paris", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z", ["2026-03-29T00:30Z", "2026-03-29T01:30Z", "2026-03-29T02:30Z"]],
  ["30 * * * *", "Europe/Paris", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"]],
  ["0 */2 * * *", "Europe/Paris", "2026-10-24T23:00:00Z", "2026-10-25T04:00:00Z", ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T03:00Z"]],
  ["0 */2 * * *", "Europe/Paris", "2026-03-28T23:00:00Z", "2026-03-29T03:00:00Z", ["2026-03-28T23:00Z", "2026-03-29T02:00Z"]],
  ["@hourly", "Europe/Paris", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"]],
  ["@daily", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", ["2026-03-28T23:00Z", "2026-03-29T22:00Z"]],
];

// Changes at 02:00 local: 07:00 UTC in spring, 06:00 UTC in autumn.
const newYork: Row[] = [
  ["15 2 * * *", "America/New_York", "2025-03-09T00:00:00Z", "2025-03-10T12:00:00Z", ["2025-03-09T07:00Z", "2025-03-10T06:15Z"]],
  ["15 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-09T12:00:00Z", ["2026-03-08T07:00Z", "2026-03-09T06:15Z"]],
  ["15 2 * * *", "America/New_York", "2027-03-14T00:00:00Z", "2027-03-15T12:00:00Z", ["2027-03-14T07:00Z", "2027-03-15T06:15Z"]],
  ["15 1 * * *", "America/New_York", "2025-11-02T00:00:00Z", "2025-11-03T12:00:00Z", ["2025-11-02T05:15Z", "2025-11-03T06:15Z"]],
  ["15 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", "2026-11-02T12:00:00Z", ["2026-11-01T05:15Z", "2026-11-02T06:15Z"]],
  ["15 1 * * *", "America/New_York", "2027-11-07T00:00:00Z", "2027-11-08T12:00:00Z", ["2027-11-07T05:15Z", "2027-11-08T06:15Z"]],
  ["15 * * * *", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T08:00:00Z", ["2026-11-01T05:15Z", "2026-11-01T06:15Z", "2026-11-01T07:15Z"]],
];

// Half an hour: 02:00–02:30 is left out in October, 01:30–02:00 comes twice in April.
const lordHowe: Row[] = [
  ["15 2 * * *", "Australia/Lord_Howe", "2025-10-04T12:00:00Z", "2025-10-06T12:00:00Z", ["2025-10-04T15:30Z", "2025-10-05T15:15Z"]],
  ["15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-05T12:00:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]],
  ["15 2 * * *", "Australia/Lord_Howe", "2027-10-02T12:00:00Z", "2027-10-04T12:00:00Z", ["2027-10-02T15:30Z", "2027-10-03T15:15Z"]],
  ["45 1 * * *", "Australia/Lord_Howe", "2025-04-05T12:00:00Z", "2025-04-07T12:00:00Z", ["2025-04-05T14:45Z", "2025-04-06T15:15Z"]],
  ["45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-06T12:00:00Z", ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]],
  ["45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00:00Z", "2027-04-05T12:00:00Z", ["2027-04-03T14:45Z", "2027-04-04T15:15Z"]],
  [
    "45 * * * *",
    "Australia/Lord_Howe",
    "2026-04-04T14:00:00Z",
    "2026-04-04T17:00:00Z",
    ["2026-04-04T14:45Z", "2026-04-04T15:15Z", "2026-04-04T16:15Z"],
  ],
];

const calendar: Row[] = [
  [
    "0 0 31 * *",
    "UTC",
    "2025-01-01T00:00:00Z",
    "2025-08-01T00:00:00Z",
    ["2025-01-31T00:00Z", "2025-03-31T00:00Z", "2025-05-31T00:00Z", "2025-07-31T00:00Z"],
  ],
  ["0 0 29 2 *", "UTC", "2025-01-01T00:00:00Z", "2033-01-01T00:00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]],
  [
    "0 0 L * *",
    "UTC",
    "2027-12-31T12:00:00Z",
    "2028-05-01T00:00:00Z",
    ["2028-01-31T00:00Z", "2028-02-29T00:00Z", "2028-03-31T00:00Z", "2028-04-30T00:00Z"],
  ],
  ["0 0 * * 0", "UTC", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
  ["0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
  ["0 0 * * SUN", "UTC", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
  ["0 0 * * 5-7", "UTC", "2026-01-01T00:00:00Z", "2026-01-06T00:00:00Z", ["2026-01-02T00:00Z", "2026-01-03T00:00Z", "2026-01-04T00:00Z"]],
  // Both days restricted: either is enough.
  ["0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", "2026-02-21T00:00:00Z", ["2026-02-06T00:00Z", "2026-02-13T00:00Z", "2026-02-20T00:00Z"]],
  ["0 0 13 * *", "UTC", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", ["2026-02-13T00:00Z"]],
  ["0 0 1 JAN,jul *", "UTC", "2026-01-02T00:00:00Z", "2027-01-02T00:00:00Z", ["2026-07-01T00:00Z", "2027-01-01T00:00Z"]],
  ["10-20/5 4 1 1 *", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", ["2026-01-01T04:10Z", "2026-01-01T04:15Z", "2026-01-01T04:20Z"]],
  ["0 30 5 1 1 *", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", ["2026-01-01T05:30Z"]],
];

describe("times of cron expressions", () => {
  for (const [name, rows] of Object.entries({ paris, newYork, lordHowe, calendar })) {
    describe(name, () => {
      for (const [cron, timezone, from, to, times] of rows)
        test(`${cron} from ${from}`, () => expect(timesBetween(cron, timezone, from, to)).toEqual(times));
    });
  }

  test("goes on from every second of a day on which the clocks go back", () => {
    const schedule = { cron: "* * 2 * * *", timezone: "Europe/Paris" };
    const first = Date.parse("2026-10-25T00:00:00Z");
    expect(nextCronTimes(schedule, first - 1, 3600).at(-1)).toBe(first + 3_599_000);
    // The second coming of two o'clock fires nothing: the next is tomorrow's.
    for (const into of [0, 1, 1_800_000, 3_599_999])
      expect(nextCronTime(schedule, first + 3_600_000 + into)).toBe(Date.parse("2026-10-26T01:00:00Z"));
  });

  test("gives the newest of a range without going through all of it", () => {
    const schedule = { cron: "* * * * * *", timezone: "UTC" };
    const until = Date.parse("2026-01-01T00:00:00Z");
    const begun = performance.now();
    const { times, more } = newestCronTimes(schedule, { after: 0, until }, 3);
    expect([times, more]).toEqual([[until - 2000, until - 1000, until], true]);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(newestCronTimes(schedule, { after: until - 3000, until }, 3)).toEqual({ times: [until - 2000, until - 1000, until], more: false });
    expect(newestCronTimes({ cron: "@yearly", timezone: "UTC" }, { after: 0, until }, 2).times).toEqual([Date.UTC(2025, 0, 1), until]);
  });

  test("says what is no expression", () => {
    for (const text of [
      "* * * *",
      "* * * * * * *",
      "60 * * * *",
      "0 24 * * *",
      "0 0 0 * *",
      "0 0 30 2 *",
      "@reboot",
      "@every 5m",
      "a b c d e",
      "5/15 * * * *",
    ])
      expect(findCronProblem(text)).not.toBeNull();
    for (const text of ["* * * * *", "*/5 0 9 * JAN-MAR MON", "@daily", "@HOURLY", " 0  0 * * * ", "0 0 29 2 *", "0 0 * * MON#2", "0 0 LW * *"])
      expect(findCronProblem(text)).toBeNull();
  });
});
