// Who a task is: its own user where there is one, no capability, none to be had.

import { addBytes, addText } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import { slots } from "./slots.ts";

const prctl = { PR_SET_DUMPABLE: 4, PR_CAPBSET_DROP: 24, PR_SET_NO_NEW_PRIVS: 38, PR_CAP_AMBIENT: 47, CLEAR_ALL: 4 } as const;
/** Linux 6.18 knows 41; a number that a kernel does not know is refused, which does no harm. */
const capabilities = 48;
const capabilityVersion = 0x20080522;
const CLONE_NEWUSER = 0x10000000;
const O_WRONLY = 1;

/** Becomes another user; in a user namespace of its own where its processes are to be counted apart. */
export function becomeUser(draft: PlanDraft, { uid, gid }: { uid: number; gid: number }, countApart: boolean): void {
  if (!countApart) dropBoundingSet(draft);
  draft.steps.push(
    { kind: "syscall", call: "setgroups", args: [0, 0] },
    { kind: "syscall", call: "setresgid", args: [gid, gid, gid] },
    { kind: "syscall", call: "setresuid", args: [uid, uid, uid] },
  );
  if (!countApart) return;
  // Whoever changed users may not write its own maps, until it is readable again.
  const readable = { kind: "syscall", call: "prctl", args: [prctl.PR_SET_DUMPABLE, 1] } as const;
  draft.steps.push(readable, { kind: "syscall", call: "unshare", args: [CLONE_NEWUSER] }, readable);
  mapUser(draft, { uid, gid }, "countApart");
}

/** Maps one user into the user namespace just made, through the /proc that was opened before all else. */
export function mapUser(draft: PlanDraft, { uid, gid }: { uid: number; gid: number }, purpose: "namespaces" | "countApart"): void {
  const files = { "self/setgroups": "deny", "self/uid_map": `${uid} ${uid} 1`, "self/gid_map": `${gid} ${gid} 1` };
  for (const [file, text] of Object.entries(files)) {
    draft.steps.push(
      { kind: "syscall", call: "openat", args: [{ slot: slots.proc }, addText(draft, file), O_WRONLY], result: slots.scratch, for: purpose },
      { kind: "syscall", call: "write", args: [{ slot: slots.scratch }, addText(draft, text), text.length], for: purpose },
      { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
    );
  }
}

/** Drops every capability for good. `holdsAll`: root, and in a user namespace even an ordinary user. */
export function dropPrivileges(draft: PlanDraft, holdsAll: boolean): void {
  if (holdsAll) dropBoundingSet(draft);
  const head = addBytes(draft, new Uint8Array(new Uint32Array([capabilityVersion, 0]).buffer));
  draft.steps.push(
    { kind: "syscall", call: "prctl", args: [prctl.PR_CAP_AMBIENT, prctl.CLEAR_ALL], mayFail: true },
    { kind: "syscall", call: "capset", args: [head, addBytes(draft, new Uint8Array(24))] },
  );
}

/** No program can give privileges from here on; Landlock and filters ask for it. */
export function refuseNewPrivileges(draft: PlanDraft): void {
  draft.steps.push({ kind: "syscall", call: "prctl", args: [prctl.PR_SET_NO_NEW_PRIVS, 1] });
}

function dropBoundingSet(draft: PlanDraft): void {
  for (let capability = 0; capability < capabilities; capability++) {
    draft.steps.push({ kind: "syscall", call: "prctl", args: [prctl.PR_CAPBSET_DROP, capability], mayFail: true });
  }
}
