export { coreActions, findCoreAction } from "./catalogue.ts";
export { files as filesInput } from "./describe.ts";
export { smtpPortOf } from "./email.ts";
export { type BareFolder, bareFolderOf, type BareGrants } from "./path-entry.ts";
export { placeOfGitUrl, repositoryName } from "./git-url.ts";
export { isKnownHostsText } from "./ssh.ts";
export { placeOfSqlUrl, type SqlPlace, type SslMode } from "./sql-url.ts";
export type { ActionDescription } from "./describe.ts";
