// What only some places may touch: drivers, the environment, processes, exits, ambient time and randomness.
import ts from "typescript";
import { importsOf } from "../imports.ts";
import { isSource, parse, rootName, ruleOf, walk } from "../source.ts";
import type { Report, SourceFile } from "../source.ts";

type Ban = {
  what: string;
  /** Dotted names, as `process.env`; a bare name bans calling it. */
  members?: string[];
  /** Modules, or `module#name` for one export. */
  imports?: string[];
  /** Where it is banned; everywhere in src when left out. */
  within?: string[];
  /** Exceptions, files or folders with a closing slash. Each has its reason here or in the architecture's table. */
  allowed: string[];
};

const pure = ["src/base/", "src/model/"];
const ambient = [
  "Date.now",
  "new Date()",
  "Date",
  "performance.now",
  "process.hrtime",
  "Bun.nanoseconds",
  "Math.random",
  "crypto.randomUUID",
  "crypto.getRandomValues",
  "Bun.randomUUIDv5",
  "Bun.randomUUIDv7",
];
const timers = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"];

const bans: readonly Ban[] = [
  { what: "bun:sqlite belongs to storage/sqlite", imports: ["bun:sqlite"], allowed: ["src/storage/sqlite/", "src/actions/"] },
  {
    what: "the environment is read in config",
    members: ["process.env", "Bun.env", "import.meta.env"],
    imports: ["node:process#env", "process#env", "bun#env"],
    // The SDK is part of the plugins' own processes.
    allowed: ["src/config/", "src/actions/", "src/sdk/"],
  },
  {
    what: "processes and FFI belong to plugins/runtimes and plugins/sandbox",
    members: ["Bun.spawn", "Bun.spawnSync", "Bun.$"],
    imports: ["bun:ffi", "node:child_process", "child_process", "bun#spawn", "bun#spawnSync", "bun#$", "bun#ffi"],
    // detach.ts starts the program itself again, for `server start --detach`.
    allowed: ["src/plugins/runtimes/", "src/plugins/sandbox/", "src/actions/", "src/cli/server-process/detach.ts"],
  },
  { what: "process.exit belongs to main.ts", members: ["process.exit"], imports: ["node:process#exit"], allowed: ["src/main.ts", "src/sdk/"] },
  {
    what: "time and randomness are injected by app",
    members: ambient,
    imports: ["randomUUID", "randomBytes", "randomInt", "randomFillSync"].map((name) => `node:crypto#${name}`),
    allowed: [
      "src/app/",
      "src/actions/",
      // A real one: how long the process itself was busy.
      "src/secrets/turns.ts",
      // The terminal's own clock, injected into commands like the rest of it.
      "src/cli/io.ts",
      // A stopwatch that ends an evaluation; no value comes from it.
      "src/workflow/expression/budget.ts",
    ],
  },
  { what: "base and model have no timers", members: [...timers, "Bun.sleep", "AbortSignal.timeout"], within: pure, allowed: [] },
  {
    what: "base and model do no I/O",
    members: ["fetch", "Bun.file", "Bun.write", "Bun.serve", "Bun.connect", "Bun.listen", "process.stdout", "process.stderr"],
    imports: ["fs", "fs/promises", "net", "http", "https", "os", "dns", "tls", "readline", "worker_threads"].map((name) => `node:${name}`),
    within: pure,
    allowed: [],
  },
];

export const restrictedUse = ruleOf("bans", isSource, (file, report) => {
  const active = bans.filter((ban) => isUnder(file.path, ban.within ?? ["src/"]) && !isUnder(file.path, ban.allowed));
  if (active.length === 0) return;
  banImports(file, active, report);
  walk(parse(file), (node) => {
    for (const name of membersOf(node)) {
      const ban = active.find((one) => one.members?.includes(name));
      if (ban !== undefined) report(node, `${name}: ${ban.what}`);
    }
  });
});

function isUnder(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));
}

function banImports(file: SourceFile, active: readonly Ban[], report: Report): void {
  for (const one of importsOf(file)) {
    const used = [one.specifier, ...one.names.map((name) => `${one.specifier}#${name}`)];
    const ban = active.find((candidate) => used.some((name) => candidate.imports?.includes(name)));
    if (ban !== undefined) report(one.node, `${one.specifier}: ${ban.what}`);
  }
}

/** The names a node uses: members, members taken apart from an object, bare calls and `new Date()`. */
function membersOf(node: ts.Node): string[] {
  if (ts.isPropertyAccessExpression(node)) return [`${ownerOf(node.expression)}.${node.name.text}`];
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return [`${ownerOf(node.expression)}.${node.argumentExpression.text}`];
  }
  if (ts.isCallExpression(node)) {
    return ts.isIdentifier(node.expression) ? [node.expression.text] : globalCall(node.expression);
  }
  if (ts.isNewExpression(node)) {
    return rootName(node.expression) === "Date" && (node.arguments?.length ?? 0) === 0 ? ["new Date()"] : [];
  }
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name) && node.initializer !== undefined) {
    const owner = ownerOf(node.initializer);
    return node.name.elements.map((element) => `${owner}.${(element.propertyName ?? element.name).getText()}`);
  }
  return [];
}

function globalCall(callee: ts.Expression): string[] {
  return ts.isPropertyAccessExpression(callee) && callee.expression.getText() === "globalThis" ? [callee.name.text] : [];
}

function ownerOf(node: ts.Expression): string {
  return node.getText().replace(/^globalThis\./, "");
}
