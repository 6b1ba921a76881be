// What a failed container tells of denials: no kernel reports them there, and what was not granted looks as if it were missing.
import { type Denial, isWithin } from "../../model/index.ts";
import type { ErrorBody } from "../../base/index.ts";
import type { TaskCommand } from "./command.ts";
import type { ResolvedPaths } from "./confine.ts";
import { realPath } from "./real-path.ts";
import type { ActionCall } from "./ports.ts";
import { type Recognised, recogniseDenials } from "./recognise.ts";

/** Folders that an image has itself: a path in them means the image's, not this machine's. */
const imageFolders = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var"];

export type ContainerEnd = { lines: readonly string[]; command: TaskCommand; paths: ResolvedPaths; hasWorkspace: boolean };

/** Files of this machine and hosts that the last lines name, and that were not granted. */
export function containerDenials(call: ActionCall, { lines, command, paths, hasWorkspace }: ContainerEnd): Recognised[] {
  const { folders, folder, permissions, inputs, masker } = call;
  const real = (list: readonly string[]) => list.flatMap((path) => realPath(path) ?? []);
  const write = [...real([folders.workdir, ...(hasWorkspace ? [folders.workspace] : [])]), ...paths.write].filter((path) => path !== "/");
  const read = [...real(command.read), ...paths.read].filter((path) => path !== "/");
  const granted = { read, write, hidden: [], network: permissions.network, cwd: command.cwd, user: folders.user };
  const ownFolders = real(folder === null ? [] : [folder]);
  const isOfThisMachine = (target: string) => isWithin(ownFolders, target) || !isWithin(imageFolders, target);
  const found = recogniseDenials(lines, granted, masker.text(JSON.stringify(inputs)));
  return found.filter(({ kind, target }) => kind !== "filesystem" || isOfThisMachine(target));
}

/** A refused mount as the denial that it is, null for any other error. */
export function mountDenial({ code, details }: ErrorBody): Pick<Denial, "kind" | "target" | "rule"> | null {
  const { kind, target, rule } = details ?? {};
  if (code !== "PERMISSION_DENIED" || kind !== "filesystem" || typeof target !== "string" || typeof rule !== "string") return null;
  return { kind, target, rule };
}
