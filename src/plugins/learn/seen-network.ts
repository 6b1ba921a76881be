// The connections of one unenforced run: names as the proxy heard them, addresses where a task went past it, ports it listened on.
import { findNetworkProblem } from "../../model/index.ts";
import type { Notice } from "../sandbox/index.ts";

export type SeenNetwork = { network: Set<string>; listen: Set<number>; notes: Set<string> };

const loopback = /^(?:127\.|\[::1\]|\[::ffff:7f)/;
/** Where the kernel takes ports from that nobody chose. */
const chosenPortMax = 32_767;

/** One attempt's notices together: what it listens on itself needs no grant to be reached. */
export function seenNetwork(task: string, notices: Iterable<Notice>): SeenNetwork {
  const seen: SeenNetwork = { network: new Set(), listen: new Set(), notes: new Set() };
  let listensAnywhere = false;
  const targets = new Map<string, "proxy" | "direct">();
  for (const { kind, call, target } of notices) {
    if (kind !== "network" || target === null) continue;
    const port = Number(/:(\d+)$/.exec(target)?.[1] ?? 0);
    if (target.startsWith("unix:")) seen.notes.add(`${task} uses the socket ${target.slice("unix:".length)}, which no grant allows`);
    else if (call !== "bind" && call !== "listen") targets.set(target, call === "proxy" ? "proxy" : (targets.get(target) ?? "direct"));
    else if (port === 0) listensAnywhere = true;
    else seen.listen.add(port);
  }
  for (const [target, way] of targets) {
    const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(target) ?? [];
    const isAddress = /^[\d.]+$|^\[/.test(host);
    // Names are looked up by the proxy in a confined task.
    const isLookUp = isAddress && (port === "53" || port === "0");
    const isOwn = loopback.test(host) && (seen.listen.has(Number(port)) || (listensAnywhere && Number(port) > chosenPortMax));
    if (isLookUp || isOwn || findNetworkProblem(target) !== null) continue;
    seen.network.add(target);
    if (way === "direct")
      seen.notes.add(`${task} connects to ${target} by itself: enforced, it has to use HTTPS_PROXY or what $WORKFLOW_FORWARD says`);
  }
  return seen;
}
