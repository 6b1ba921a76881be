// Tells one process from another that has its pid later.
import { readFileSync } from "node:fs";

/** Linux: boot id and field 22 of the process's stat line; null elsewhere and for processes that are gone. */
export function processStamp(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, field 2, may hold spaces and brackets, so fields are counted from its last bracket: field 3 is the first after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const ticks = fields[22 - 3];
    // A zombie has ended, though nobody has collected it yet.
    if (state === "Z" || state === "X") return null;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return ticks === undefined ? null : `${boot}/${ticks}`;
  } catch {
    return null;
  }
}
