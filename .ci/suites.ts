// The suites under tests/ in the order they run, how long each may take, and how their results are read.

/** `minutes` bounds the suite, `testSeconds` each of its tests. */
export type Suite = { name: string; minutes: number; testSeconds: number };

export const suites: readonly Suite[] = [
  { name: "tidy", minutes: 3, testSeconds: 30 },
  { name: "conformance", minutes: 3, testSeconds: 30 },
  { name: "unit", minutes: 5, testSeconds: 20 },
  { name: "contract", minutes: 5, testSeconds: 30 },
  { name: "flow", minutes: 6, testSeconds: 30 },
  { name: "api", minutes: 6, testSeconds: 30 },
  { name: "golden", minutes: 4, testSeconds: 60 },
  { name: "sim", minutes: 10, testSeconds: 300 },
  { name: "sandbox", minutes: 10, testSeconds: 60 },
  { name: "attack", minutes: 6, testSeconds: 120 },
  { name: "docker", minutes: 6, testSeconds: 60 },
  { name: "hunt", minutes: 5, testSeconds: 120 },
  { name: "cli", minutes: 12, testSeconds: 60 },
  { name: "crash", minutes: 10, testSeconds: 120 },
];

/** The whole run stops here, so that it always ends by itself within an hour. */
export const runMinutesMax = 54;

export type Counts = { passed: number; failed: number; skipped: number };
export type SuiteResult = Counts & { skippedTitles: string[] };

/** Reads a JUnit report; null when it is none, as when the suite died before it wrote one. */
export function parseReport(xml: string): SuiteResult | null {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0];
  if (head === undefined || !xml.trimEnd().endsWith("</testsuites>")) return null;
  const number = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  const skipped = number("skipped");
  const titles = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*[^/]>\s*<skipped\b/g)].map((match) => unescapeXml(match[1] ?? ""));
  return { passed: number("tests") - failed - skipped, failed, skipped, skippedTitles: titles };
}

const entities: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&" };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(lt|gt|quot|apos|amp);/g, (entity) => entities[entity] ?? entity);
}

/**
 * The counts of one suite. A suite that died has one failure more than it could report, and so has one that ended badly
 * although each of its tests passed, as after an error outside of any test.
 */
export function countSuite(report: SuiteResult | null, exitCode: number): SuiteResult {
  const counts = report ?? { passed: 0, failed: 0, skipped: 0, skippedTitles: [] };
  const isSilentFailure = report === null || (exitCode !== 0 && report.failed === 0);
  return isSilentFailure ? { ...counts, failed: counts.failed + 1 } : counts;
}

/** The closing line, which other programs read. */
export function renderClosing({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}
