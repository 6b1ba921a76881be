// Bundles what the binary writes into its runtime folder, the SDK and the built-in actions, into dist/runtime and one file to embed.
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import ts from "typescript";
import { sha256Hex } from "../../src/base/index.ts";

const sdkFolder = "node_modules/autokestra";
type Files = Map<string, string>;

/** Writes dist/runtime and dist/runtime.pack. A pack is one line of JSON, which lists the files with size and digest, and their bytes. */
export async function packRuntime(root: string): Promise<void> {
  const files: Files = new Map([...(await bundleSdk(root)), ...(await bundleActions(root))].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const list = [...files].map(([path, text]) => ({ path, bytes: Buffer.byteLength(text), sha256: sha256Hex(text) }));
  const head = JSON.stringify({ sha256: sha256Hex(JSON.stringify(list)), files: list });
  await replace(join(root, "dist/runtime"), (draft) => writeTree(draft, files));
  await replace(join(root, "dist/runtime.pack"), (draft) => writeFile(draft, [head, "\n", ...files.values()].join("")));
}

async function bundle(root: string, entry: string): Promise<string> {
  const result = await Bun.build({
    entrypoints: [join(root, entry)],
    target: "bun",
    format: "esm",
    minify: true,
    env: "disable",
    define: { "process.env.NODE_ENV": entry.startsWith("src/sdk/") ? "process.env.NODE_ENV" : '"production"' },
  });
  const [output] = result.outputs;
  if (output === undefined) throw new Error(`Cannot bundle ${entry}: no output`);
  return output.text();
}

async function bundleSdk(root: string): Promise<Files> {
  const manifest = { name: "autokestra", type: "module", exports: { "./sdk": { types: "./index.d.ts", default: "./sdk.js" } } };
  return new Map([
    [`${sdkFolder}/package.json`, `${JSON.stringify(manifest)}\n`],
    [`${sdkFolder}/sdk.js`, await bundle(root, "src/sdk/index.ts")],
    ...(await Promise.all(["index", "define-plugin", "plugin"].map((name) => declare(root, name)))),
  ]);
}

/** The types of one file of the SDK, as published: imports name the files beside it. */
async function declare(root: string, name: string): Promise<[string, string]> {
  const source = await Bun.file(join(root, `src/sdk/${name}.ts`)).text();
  const { outputText, diagnostics = [] } = ts.transpileDeclaration(source, { fileName: `${name}.ts`, compilerOptions: { stripInternal: true } });
  if (diagnostics.length > 0) throw new Error(`Cannot declare the types of src/sdk/${name}.ts: ${String(diagnostics[0]?.messageText)}`);
  return [`${sdkFolder}/${name}.d.ts`, outputText.replaceAll(/(from "\.\/[\w-]+)\.ts"/g, '$1.js"')];
}

/** Every file directly in src/actions is the entry of one built-in plugin. */
async function bundleActions(root: string): Promise<Files> {
  const names = (await readdir(join(root, "src/actions"))).filter((name) => name.endsWith(".ts"));
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[string, string]> => [`actions/${name.replace(/\.ts$/, ".js")}`, await bundle(root, `src/actions/${name}`)]),
    ),
  );
}

async function writeTree(folder: string, files: Files): Promise<void> {
  for (const [path, text] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/** Builds run beside each other: what is there is whole at any time, but for the moment in which a folder is exchanged. */
async function replace(path: string, write: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.${process.pid}.draft`;
  await mkdir(dirname(path), { recursive: true });
  await rm(draft, { recursive: true, force: true });
  await write(draft);
  await rm(path, { recursive: true, force: true });
  await rename(draft, path);
}
