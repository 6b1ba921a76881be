// Deliverables about the shape of the project itself: its tests' pyramid, its tree, its schemas and its store's second home.
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Home, root } from "../product/binary.ts";

function testsIn(...suites: string[]): number {
  const files = suites.flatMap((suite) =>
    readdirSync(join(root, "tests", suite), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.test\.ts$|-cases\.ts$/.test(name))
      .map((name) => join(root, "tests", suite, name)),
  );
  return files.reduce((sum, file) => sum + (readFileSync(file, "utf8").match(/^\s*(?:test|it)(?:\.\w+\([^)]*\))?\(/gm)?.length ?? 0), 0);
}

test("[CRA-T01] the tests are a pyramid: many unit, some integration, few through the whole product", () => {
  const unit = testsIn("unit");
  const integration = testsIn("contract", "flow", "api");
  const whole = testsIn("cli", "crash");
  expect(unit).toBeGreaterThan(integration);
  expect(integration).toBeGreaterThan(whole);
  expect(whole).toBeGreaterThan(20);
});

test("[CRA-X20] the tree of tests has unit, integration and conformance suites, and each has tests", () => {
  for (const suite of ["tidy", "unit", "contract", "flow", "sim", "api", "cli", "sandbox", "crash", "conformance"]) {
    expect({ suite, there: existsSync(join(root, "tests", suite)) }).toEqual({ suite, there: true });
    expect(readdirSync(join(root, "tests", suite), { recursive: true, encoding: "utf8" }).some((name) => name.endsWith(".test.ts"))).toBe(true);
  }
});

test("[CRA-X04] the forms are checked strictly, and exported as JSON Schema by the binary", async () => {
  const home = new Home();
  const listed = JSON.parse((await home.run(["schema", "--list", "--json"])).stdout) as unknown;
  expect(JSON.stringify(listed)).toContain("workflow");
  const printed = await home.run(["schema", "workflow"]);
  expect(printed.code).toBe(0);
  expect(JSON.parse(printed.stdout)).toEqual(JSON.parse(readFileSync(join(root, "assets/schemas/workflow.schema.json"), "utf8")));
  await Bun.write(home.path("w.yaml"), "id: w\nextra: 1\ntasks: [{ id: a, run: x }]\n");
  const refused = await home.run(["validate", "w.yaml", "--json"]);
  expect(refused.code).toBe(3);
  expect(JSON.parse(refused.stdout)).toMatchObject({ valid: false, diagnostics: [{ code: "UNKNOWN_KEY", line: 2, column: 1, path: "extra" }] });
  expect((await home.run(["schema", "nothing"])).code).toBe(4);
});

test("[CRA-X05] SQLite is the store; PostgreSQL comes behind the same ports and is refused until then", async () => {
  const home = new Home();
  await Bun.write(home.path("pg.yaml"), "storage:\n  type: postgresql\n");
  const refused = await home.run(["list", "-c", "pg.yaml", "--json"]);
  expect(refused.code).toBe(3);
  expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
  const ports = readFileSync(join(root, "src/storage/ports.ts"), "utf8").replaceAll(/^.*\/\/.*$|^\s*\/?\*.*$/gm, "");
  expect(ports).not.toMatch(/sqlite|pragma|rowid|\bselect\b/i);
});
