// Git repositories.
import type { JsonObject } from "../../base/index.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { placeOfGitUrl, repositoryName } from "./git-url.ts";
import { barePathRule, type BareFolder, pathEntries } from "./path-entry.ts";

const path = { ...text, description: `The working copy. ${barePathRule}.` };
const person = closed({ name: text, email: text }, ["name", "email"]);
const process = { runsIn: "process", available: true } as const;

function asksOfClone({ url, to, key, knownHosts }: JsonObject, bare: BareFolder = "$workspace") {
  const known = typeof url === "string" && !url.includes("{{") ? placeOfGitUrl(url) : null;
  const read = pathEntries([known?.kind === "local" ? known.path : null, key, knownHosts], bare);
  const network = known?.kind === "remote" ? [`${known.host}:${known.port}`] : [];
  return { run: true, network, filesystem: { read, write: pathEntries([to ?? (known === null ? bare : repositoryName(String(url)))], bare) } };
}

export const gitActions: readonly ActionDescription[] = [
  {
    action: "core/git.clone",
    description: "Clones a repository from https, ssh or a path.",
    input: closed(
      {
        url: text,
        to: { ...path, description: `The new folder; where it is left out, one of the repository's name, as a bare path. ${barePathRule}.` },
        ref: { ...text, description: "Branch, tag or commit to check out." },
        depth: { type: "integer", minimum: 1 },
        key: { ...text, description: "Path of a private key, for ssh." },
        knownHosts: { ...text, description: "Path of a known_hosts file, for ssh." },
        insecureHostKey: { type: "boolean", default: false, description: "Take any host key." },
        files,
      },
      ["url"],
    ),
    output: {
      type: "object",
      properties: { path: text, commit: text, branch: { type: ["string", "null"] } },
      required: ["path", "commit", "branch"],
    },
    idempotent: false,
    ...process,
    asks: asksOfClone,
  },
  {
    action: "core/git.diff",
    description: "Shows what changed between two states of a working copy.",
    input: closed(
      {
        path,
        from: { ...text, description: "A commit; HEAD where it is left out." },
        to: { ...text, description: "A commit; the working copy where it is left out." },
        staged: { type: "boolean", default: false },
        paths: { type: "array", items: text },
        context: { type: "integer", minimum: 0, default: 3 },
        files,
      },
      ["path"],
    ),
    output: {
      type: "object",
      properties: { changed: { type: "boolean" }, files: { type: "array" }, diff: text, truncated: { type: "boolean" } },
      required: ["changed", "files", "diff", "truncated"],
    },
    idempotent: true,
    ...process,
    // git refreshes its index, so that it wants to write too.
    asks: ({ path: place }, bare) => ({ run: true, filesystem: { write: pathEntries([place], bare) } }),
  },
  {
    action: "core/git.commit",
    description: "Commits the changes of a working copy; does nothing where there are none.",
    input: closed(
      {
        path,
        message: { type: "string", minLength: 1 },
        paths: { type: "array", items: text, description: "What to commit; everything where it is left out." },
        author: person,
        allowEmpty: { type: "boolean", default: false },
        files,
      },
      ["path", "message"],
    ),
    output: {
      type: "object",
      properties: { commit: text, changed: { type: "boolean" }, branch: { type: ["string", "null"] } },
      required: ["commit", "changed", "branch"],
    },
    idempotent: true,
    ...process,
    asks: ({ path: place }, bare) => ({ run: true, filesystem: { write: pathEntries([place], bare) } }),
  },
];
