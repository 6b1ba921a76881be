// The profile for sandbox-exec: what a confinement allows in the sandbox's own language. Pure. The text holds nothing that
// somebody else chose but port numbers; paths are parameters.

import { fail } from "../../../base/index.ts";
import type { Confinement } from "../../sandbox/index.ts";
import { macDevicePaths, macProgramPaths, macServices, macSettingPaths, macSysctlNames, macSysctlPrefixes } from "./system-paths.ts";

/** What was looked up of the disk for one task; real, absolute paths. */
export type MacPlaces = {
  /** Files that the start of the task executes: the program, and what it hands itself over to. */
  starts: readonly string[];
  /** Folders that nothing opens, whatever was granted. */
  closed: readonly string[];
};

export type MacProfile = { profile: string; parameters: Readonly<Record<string, string>> };

type Names = (kind: string, paths: readonly string[]) => string[];

const portMax = 65_535;

/** Everything is denied that no line allows; of lines that contradict each other the last one counts.
 * @throws SANDBOX_UNAVAILABLE for what this sandbox cannot hold: `observe`, and a user of the task's own. */
export function profileFor(confinement: Confinement, places: MacPlaces): MacProfile {
  if (confinement.mode === "observe") throw cannot("observe a task: macOS does not tell what a task would have needed", "Run --learn on Linux.");
  if (confinement.user !== null) throw cannot("give a task a user of its own: macOS has no such users", "Run the server as an ordinary user.");
  const parameters: Record<string, string> = {};
  const nameAll: Names = (kind, paths) =>
    paths.map((path, index) => {
      const name = `${kind}_${index}`;
      parameters[name] = normalPath(path);
      return `(subpath (param "${name}"))`;
    });
  const write = nameAll("WRITE", confinement.write);
  const read = [...nameAll("READ", confinement.read), ...write];
  const starts = nameAll("START", places.starts);
  const lines = [
    "(version 1)",
    "(deny default)",
    ...ownProcessRules(),
    ...fileRules(read, write, starts),
    ...runRules(confinement.run, read, starts),
    ...networkRules(confinement),
    rule("deny", ["file-read*", "file-write*"], [...texts("subpath", ["/Library/Keychains"]), ...nameAll("CLOSED", places.closed)]),
  ];
  return { profile: `${lines.join("\n")}\n`, parameters };
}

function ownProcessRules(): string[] {
  return [
    rule("allow", ["process-info*", "signal"], ["(target same-sandbox)"]),
    rule("allow", ["sysctl-read"], [...texts("sysctl-name", macSysctlNames), ...texts("sysctl-name-prefix", macSysctlPrefixes)]),
    rule("allow", ["mach-lookup"], texts("global-name", macServices)),
  ];
}

function fileRules(read: readonly string[], write: readonly string[], starts: readonly string[]): string[] {
  const programs = texts("subpath", macProgramPaths);
  const devices = texts("literal", macDevicePaths);
  return [
    // Names and sizes are not secret here, as in the sandbox of Linux. The loader needs the root's own entry.
    "(allow file-read-metadata)",
    rule("allow", ["file-read*"], ['(literal "/")', ...programs, ...texts("subpath", macSettingPaths), ...starts, ...read]),
    rule("allow", ["file-map-executable"], [...programs, ...starts, ...read]),
    rule("allow", ["file-read*", "file-write-data"], devices),
    // The task's own descriptors, by their other names.
    rule("allow", ["file-read-data", "file-write-data"], texts("subpath", ["/dev/fd"])),
    ...(write.length === 0 ? [] : [rule("allow", ["file-write*"], write)]),
    "(deny file-write-setugid)",
  ];
}

function runRules(run: boolean, read: readonly string[], starts: readonly string[]): string[] {
  if (!run) return starts.length === 0 ? [] : [rule("allow", ["process-exec*"], starts)];
  return ["(allow process-fork)", rule("allow", ["process-exec*"], [...texts("subpath", macProgramPaths), ...starts, ...read])];
}

/** TCP of this machine's loopback by port: the engine's proxy and forwarders decide on everything beyond. */
function networkRules({ connect, listen }: Confinement): string[] {
  const ports = (filter: string, numbers: readonly number[]) => numbers.map((port) => `(${filter} tcp "localhost:${checkedPort(port)}")`);
  return [
    ...(connect.length === 0 ? [] : [rule("allow", ["network-outbound"], ports("remote", connect))]),
    ...(listen.length === 0 ? [] : [rule("allow", ["network-bind", "network-inbound"], ports("local", listen))]),
  ];
}

function rule(decision: "allow" | "deny", operations: readonly string[], filters: readonly string[]): string {
  return `(${decision} ${operations.join(" ")}\n${filters.map((filter) => `  ${filter}`).join("\n")})`;
}

/** Constants of this program only: nothing in them needs quoting. */
function texts(filter: string, values: readonly string[]): string[] {
  return values.map((value) => `(${filter} "${value}")`);
}

function checkedPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= portMax) return port;
  throw fail("INTERNAL", "Cannot confine a task: a port is no port number", { details: { port: String(port) } });
}

/** A folder is named without a slash at its end. */
function normalPath(path: string): string {
  if (!path.startsWith("/") || path.includes("\0")) throw fail("INTERNAL", "Cannot confine a task: a path is not absolute", { details: { path } });
  return path === "/" ? path : path.replace(/\/+$/, "");
}

function cannot(what: string, hint: string): Error {
  return fail("SANDBOX_UNAVAILABLE", `Cannot ${what}`, { hint });
}
