// Triggers beyond their form: cron expressions and zones, webhook secrets and addresses, inputs that they give.
import { findCronProblem } from "../schedule/cron-times.ts";
import { entryOf, itemsOf, memberOf, memberPath, type RawMap, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { didYouMean } from "./nearest.ts";
import { checkIds, textOf } from "./sites.ts";

export type TriggerSite = { node: RawMap; path: string };

/** Both forms, `triggers:` and `trigger:`. */
function findTriggers(root: RawNode): TriggerSite[] {
  const single = memberOf(root, "trigger");
  const nodes = itemsOf(memberOf(root, "triggers")).map((node, index) => ({ node, path: `triggers[${index}]` }));
  if (single !== undefined) nodes.push({ node: single, path: "trigger" });
  return nodes.flatMap(({ node, path }) => (node.kind === "map" ? [{ node, path }] : []));
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}

function checkCron({ node, path }: TriggerSite, report: Report): void {
  const cron = memberOf(node, "cron");
  const text = textOf(cron);
  const problem = text === null ? null : findCronProblem(text);
  if (cron !== undefined && problem !== null)
    report.add({ code: "BAD_CRON", path: `${path}.cron`, message: `The cron expression "${String(text)}" ${problem}`, at: cron });
  const zone = memberOf(node, "timezone");
  const name = textOf(zone);
  if (zone !== undefined && name !== null && !isTimeZone(name)) {
    report.add({
      code: "BAD_TIMEZONE",
      path: `${path}.timezone`,
      message: `There is no time zone "${name}"`,
      at: zone,
      hint: didYouMean(name, Intl.supportedValuesOf("timeZone")),
    });
  }
}

function checkAddresses(sites: readonly TriggerSite[], report: Report): void {
  const found = new Map<string, { at: RawNode; path: string }[]>();
  for (const { node, path } of sites) {
    const at = memberOf(node, "path");
    if (textOf(memberOf(node, "type")) !== "webhook" || at === undefined) continue;
    const key = `${textOf(memberOf(node, "method")) ?? "POST"} ${String(textOf(at))}`;
    found.set(key, [...(found.get(key) ?? []), { at, path: `${path}.path` }]);
  }
  for (const [key, places] of found) {
    if (places.length > 1)
      for (const { at, path } of places)
        report.add({ code: "DUPLICATE_ID", path, message: `${places.length} webhooks of this workflow answer ${key}`, at });
  }
}

function checkGivenInputs({ node, path }: TriggerSite, declared: ReadonlySet<string>, report: Report): void {
  const inputs = memberOf(node, "inputs");
  if (inputs?.kind !== "map") return;
  for (const [key, { keyAt }] of inputs.entries) {
    if (declared.has(key)) continue;
    report.add({
      code: "UNKNOWN_KEY",
      path: memberPath(`${path}.inputs`, key),
      message: `The workflow declares no input "${key}"`,
      at: keyAt,
      hint: didYouMean(key, declared),
    });
  }
}

/** `secrets` and `inputs` are the names that the workflow declares. */
export function checkTriggers(root: RawNode, declared: { secrets: ReadonlySet<string>; inputs: ReadonlySet<string> }, report: Report): TriggerSite[] {
  const sites = findTriggers(root);
  const single = entryOf(root, "trigger");
  if (single !== undefined && entryOf(root, "triggers") !== undefined)
    report.add({ code: "EXCLUSIVE_KEYS", path: "trigger", message: 'Only one of "trigger" and "triggers" can stand', at: single.keyAt });
  checkIds(sites, "triggers", report);
  checkAddresses(sites, report);
  for (const site of sites) {
    const type = textOf(memberOf(site.node, "type"));
    if (type === "cron") checkCron(site, report);
    checkGivenInputs(site, declared.inputs, report);
    const secret = memberOf(site.node, "secret");
    const name = textOf(secret);
    if (type === "webhook" && secret !== undefined && name !== null && !declared.secrets.has(name)) {
      report.add({
        code: "SECRET_NOT_LISTED",
        path: `${site.path}.secret`,
        message: `The secret "${name}" is not in the workflow's list`,
        at: secret,
        hint: didYouMean(name, declared.secrets) ?? `Add it: secrets: [${[...declared.secrets, name].join(", ")}]`,
      });
    }
  }
  return sites;
}
