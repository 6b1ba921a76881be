// The SDK as an author's editor sees it: plugins of every style type-check against the published declarations.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { ensureRuntime } from "../../sandbox/invoke-world.ts";

const root = join(import.meta.dir, "../../..");

function problemsOf(source: string): string[] {
  ensureRuntime();
  const folder = mkdtempSync(join(tmpdir(), "autokestra-sdk-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(join(root, "dist/runtime/node_modules/autokestra"), join(folder, "node_modules/autokestra"));
    writeFileSync(join(folder, "main.ts"), source);
    const options = {
      strict: true,
      noEmit: true,
      module: ts.ModuleKind.Preserve,
      target: ts.ScriptTarget.ESNext,
      types: [],
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
    };
    const program = ts.createProgram([join(folder, "main.ts")], options);
    return ts.getPreEmitDiagnostics(program).map((one) => ts.flattenDiagnosticMessageText(one.messageText, "\n"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const head = `import { definePlugin } from "autokestra/sdk";\n`;

test("plugins with and without types of their own are accepted", () => {
  const plain = `export default definePlugin({ actions: { build: async (input, ctx) => { ctx.log.info("x"); ctx.signal.throwIfAborted(); return { got: input["a"] }; } } });`;
  const annotated = `export default definePlugin({ actions: { build: (input: { a: number }, ctx) => { if (input.a > 1) ctx.fail("NO", "m", { retryable: false }); return {}; } } });`;
  const typed = `type Actions = { build: { input: { a: number }; output: { b: string } } };
export default definePlugin<Actions>({ actions: { build: (input) => ({ b: String(input.a) }) } });`;
  for (const text of [plain, annotated, typed]) expect(problemsOf(head + text)).toEqual([]);
}, 30_000);

test("a wrong output and a missing action are not", () => {
  const types = `type Actions = { build: { input: { a: number }; output: { b: string } } };\n`;
  expect(problemsOf(`${head}${types}definePlugin<Actions>({ actions: { build: (input) => ({ b: input.a }) } });`)).toHaveLength(1);
  expect(problemsOf(`${head}${types}definePlugin<Actions>({ actions: {} });`)).toHaveLength(1);
}, 30_000);
