// How the test run counts: reports of suites, suites that died, and the closing line.
import { expect, test } from "bun:test";
import { countSuite, parseReport, renderClosing, runMinutesMax, suites } from "../../.ci/suites.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="7" assertions="9" failures="2" skipped="2" time="0.1">
  <testsuite name="a" tests="7" failures="2" skipped="2">
    <testcase name="passes" classname="a" time="0" />
    <testcase name="needs &lt;root&gt;" classname="a" time="0" line="2">
      <skipped />
    </testcase>
    <testcase name="planned" classname="a" time="0">
      <skipped message="later" />
    </testcase>
  </testsuite>
</testsuites>
`;

test("a report gives the counts and the titles of what was skipped", () => {
  expect(parseReport(report)).toEqual({ passed: 3, failed: 2, skipped: 2, skippedTitles: ["needs <root>", "planned"] });
});

test("a report that is missing or cut off is none", () => {
  expect(parseReport("")).toBeNull();
  expect(parseReport(report.slice(0, -20))).toBeNull();
});

test("a suite that dies or ends badly without a failed test has failed", () => {
  const passed = { passed: 3, failed: 0, skipped: 0, skippedTitles: [] };
  expect(countSuite(null, 0).failed).toBe(1);
  expect(countSuite(passed, 1)).toEqual({ ...passed, failed: 1 });
  expect(countSuite(passed, 0)).toEqual(passed);
  expect(countSuite({ ...passed, failed: 2 }, 1).failed).toBe(2);
});

test("the closing line", () => {
  expect(renderClosing({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
  expect(renderClosing({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
});

test("every suite has a bound, and the run ends within the hour", () => {
  expect(suites.every(({ minutes, testSeconds }) => minutes > 0 && testSeconds > 0 && testSeconds <= minutes * 60)).toBe(true);
  expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length);
  expect(runMinutesMax).toBeLessThan(60);
});
