// A learned block without secrets: what tasks touched may have one in its name.
import type { Permissions } from "../../model/index.ts";
import type { LearnLog } from "./learn-log.ts";
import type { Learned } from "./least-permissions.ts";

/** Masked by all that the watched attempts knew; entries that then read the same stand there once. */
export function maskLearned({ permissions, notes }: Learned, log: LearnLog): Learned {
  const maskers = new Set(log.attempts.map(({ attempt }) => attempt.masker));
  const masked = (texts: readonly string[]): string[] => [
    ...new Set(texts.map((text) => [...maskers].reduce((shown, masker) => masker.text(shown), text))),
  ];
  return { permissions: maskPermissions(permissions, masked), notes: masked(notes) };
}

/** Names of variables are the workflow's own. */
function maskPermissions(permissions: Permissions, masked: (texts: readonly string[]) => string[]): Permissions {
  const { network, filesystem } = permissions;
  const shown: Permissions = { ...permissions };
  if (network !== undefined) shown.network = masked(network);
  if (filesystem === undefined) return shown;
  const { read, write } = filesystem;
  return {
    ...shown,
    filesystem: { ...(read === undefined ? {} : { read: masked(read) }), ...(write === undefined ? {} : { write: masked(write) }) },
  };
}
