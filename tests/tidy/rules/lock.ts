// The lock must be whole, or `npm ci` refuses it in a fresh clone: npm leaves out optional packages it could not see when
// it wrote the lock, such as those for other platforms that a mirror does not have.
import type { Rule, Violation } from "../source.ts";

type Locked = { optionalDependencies?: Record<string, string>; dependencies?: Record<string, string>; resolved?: string };

export const lock: Rule = (files) => {
  const found: Violation[] = [];
  const text = files.find(({ path }) => path === "package-lock.json")?.text ?? '{"packages":{}}';
  const packages: Record<string, Locked> = JSON.parse(text).packages;
  for (const [place, { dependencies, optionalDependencies, resolved }] of Object.entries(packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const candidates = [`${place}/node_modules/${name}`, `node_modules/${name}`];
      if (candidates.some((candidate) => candidate in packages)) continue;
      found.push({ rule: "lock", path: "package-lock.json", line: 1, message: `${place} needs ${name}, which is not locked` });
    }
    if (resolved !== undefined) found.push({ rule: "lock", path: "package-lock.json", line: 1, message: `${place} is bound to one registry` });
  }
  return found;
};
