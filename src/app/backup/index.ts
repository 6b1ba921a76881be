export type { BackupAdmin } from "./admin.ts";
export type { BackupReport, BackupRequest, BackupStep, OnBackupProgress } from "./create.ts";
export { type RestoreReport, type RestoreRequest, restoreStore } from "./restore.ts";
