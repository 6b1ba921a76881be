// Builds the product for this machine: dist/workflow, one compiled binary, with its two other names as links.
// `--docs` writes the generated documents instead, `--runtime` only what the binary embeds for plugins, `--release` also makes
// the files that install.sh takes.
import { createHash } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packRuntime } from "./.ci/build/runtime-pack.ts";

const root = import.meta.dir;
/** Other names under which the binary is called; it looks at its own name to know. */
const linkNames = ["cra", "artifactctl"];

type Binary = { entry: string; outfile: string };

/** Compiles `entry` into one self-contained file. The old file is replaced in one step, so a running copy is never cut. */
async function compile({ entry, outfile }: Binary): Promise<void> {
  // The program sees the name it was built under, so the draft has the final name in a folder of its own.
  const draft = join(dirname(outfile), `.build-${process.pid}`);
  const fresh = join(draft, basename(outfile));
  await mkdir(draft, { recursive: true });
  const result = await Bun.build({
    entrypoints: [entry],
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    splitting: true,
    env: "disable",
    define: { "process.env.NODE_ENV": '"production"' },
    // A .env, bunfig.toml, tsconfig.json or package.json in the user's folder must not change what the binary does.
    compile: {
      outfile: fresh,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  for (const log of result.logs) console.error(String(log));
  await chmod(fresh, 0o755);
  await rename(fresh, outfile);
  await rm(draft, { recursive: true, force: true });
}

/** Puts the other names beside the binary, as relative links so that the folder can be moved. */
async function link(outfile: string): Promise<void> {
  for (const name of linkNames) {
    const path = join(dirname(outfile), name);
    await rm(path, { force: true });
    await symlink(basename(outfile), path);
  }
}

/** Copies the binary under its release name with SHA256SUMS and an install.sh that knows where the files will lie. */
async function release(outfile: string, baseUrl: string): Promise<void> {
  if (/["'$`\\\s]/.test(baseUrl)) throw new Error(`Cannot write the release: the base URL "${baseUrl}" holds quotes, $ or blanks`);
  const folder = join(dirname(outfile), "release");
  const name = `workflow-${process.platform}-${process.arch}`;
  const bytes = await readFile(outfile);
  const script = await readFile(join(root, "install.sh"), "utf8");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), bytes, { mode: 0o755 });
  await writeFile(join(folder, "SHA256SUMS"), `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`);
  await writeFile(join(folder, "install.sh"), script.replace(/^default_base_url=.*$/m, `default_base_url="${baseUrl}"`), { mode: 0o755 });
  console.log(`release  ${join(folder, name)}`);
}

/** Writes every generated document that is not fresh. */
async function writeDocs(): Promise<void> {
  const { docsSources } = await import("./.ci/docs/sources.ts");
  for (const source of docsSources) {
    const path = join(root, source.path);
    const text = await source.render(root);
    const old = await readFile(path, "utf8").catch(() => null);
    if (old !== text) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    console.log(`${old === text ? "fresh  " : "written"}  ${source.path}`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Bun.argv.slice(2),
    options: {
      docs: { type: "boolean", default: false },
      runtime: { type: "boolean", default: false },
      release: { type: "boolean", default: false },
      "base-url": { type: "string", default: "" },
      entry: { type: "string", default: join(root, "src/main.ts") },
      out: { type: "string", default: join(root, "dist/workflow") },
    },
  });
  if (values.docs) return writeDocs();
  const started = performance.now();
  await packRuntime(root);
  if (values.runtime) return;
  const binary = { entry: resolve(values.entry), outfile: resolve(values.out) };
  await compile(binary);
  await link(binary.outfile);
  const { size } = await stat(binary.outfile);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`built    ${binary.outfile}  ${(size / 1e6).toFixed(0)} MB in ${seconds} s`);
  if (values.release) await release(binary.outfile, values["base-url"]);
}

await main();
