// What the composition root offers of backups: making one, and the record of one that was put back.
import type { Caller } from "../../model/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { type BackupReport, type BackupRequest, backUp } from "./create.ts";

export interface BackupAdmin {
  /** @throws ALREADY_EXISTS, USAGE, FILE_NOT_FOUND, BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH, STORE_UNAVAILABLE */
  create(request: BackupRequest): Promise<BackupReport>;
  /** Says in the system trace of this store that it comes from a backup. */
  noteRestored(backup: { sha256: string; lastSeq: number }): Promise<void>;
}

export function createBackupAdmin(context: AppContext, caller: Caller): BackupAdmin {
  return {
    create: (request) => backUp(context, caller, request),
    noteRestored: async ({ sha256, lastSeq }) => {
      context.session.ensure();
      const event = systemEvent(context, caller, { type: "trace.store.restored", payload: { sha256, last_seq: lastSeq } });
      await context.ledger.commit({ events: [event], opens: systemOpens(context) });
    },
  };
}
