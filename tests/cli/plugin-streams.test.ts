// What plugins of the compiled binary print through process.stdout and process.stderr, more at once than a pipe takes: all of it comes
// to the log, in order, and a secret in it is masked wherever it stands.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, type Server, until } from "../product/binary.ts";

const runs = 15;
const secret = "tok-FIRSTHALFabcdefghij0123456789-SECONDHALFklmnopqrstuvwxyz9876";
const pad = 65_536 - 30;

const main = `
import { definePlugin } from "autokestra/sdk";
export default definePlugin({
  actions: {
    print: ({ secret }: { secret: string }, ctx) => {
      for (const [name, stream] of [["out", process.stdout], ["err", process.stderr]] as const) {
        for (let k = 0; k < 3; k += 1) stream.write(name + "x".repeat(${pad}) + secret + "tail\\n");
        stream.write(Buffer.from(name + " bytes\\n"), () => stream.write(name + " said back\\n"));
        stream.end(name + " end\\n");
      }
      ctx.log.info("between " + secret);
      process.stderr.write("y".repeat(100_000) + secret + "\\n");
      return {};
    },
    fail: ({ secret }: { secret: string }) => {
      process.stderr.write("y".repeat(100_000) + secret + "\\n");
      throw new Error("no " + secret);
    },
  },
});`;
const manifest = (name: string) => `
namespace: acme
name: ${name}
version: 1.0.0
runtime: bun
entrypoint: main.ts
permissions: {}
${name === "warm" ? "keepWarm: 1" : ""}
actions:
  - { name: print, input: { type: object } }
  - { name: fail, input: { type: object } }
`;
const workflow = (plugin: string) => ({
  id: plugin,
  secrets: ["TOKEN"],
  tasks: Array.from({ length: runs }, (_, run) => ({
    id: `t${run}`,
    type: `acme/${plugin}.${run % 5 === 4 ? "fail" : "print"}`,
    inputs: { secret: "{{ secrets.TOKEN }}" },
    allowFailure: true,
    ...(run === 0 ? {} : { needs: [`t${run - 1}`] }),
  })),
});

type Row = { id: number; taskId: string; source: string; message: string };

const home = new Home();
let server: Server;

beforeAll(async () => {
  for (const name of ["cold", "warm"]) {
    const folder = join(home.data, "plugins/acme", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "plugin.yaml"), manifest(name));
    writeFileSync(join(folder, "main.ts"), main);
  }
  Bun.spawnSync(["chmod", "-R", "go-rwx", home.data]);
  expect((await home.run(["secrets", "set", "TOKEN"], { stdin: secret })).code).toBe(0);
  server = await home.startServer();
}, 60_000);
afterAll(() => server?.stop());

async function linesOf(plugin: string): Promise<Row[]> {
  const executionId = Bun.randomUUIDv7();
  await server.apply(plugin, JSON.stringify(workflow(plugin)));
  expect((await server.call("POST", `/api/v1/workflows/${plugin}/executions`, { executionId })).status).toBe(202);
  await until(async () => {
    const { body } = await server.call("GET", `/api/v1/executions/${executionId}`);
    return (body as { execution: { endedAt: string | null } }).execution.endedAt;
  }, 60_000);
  const rows: Row[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await server.call("GET", `/api/v1/executions/${executionId}/logs?limit=500${from}`);
    const page = body as { items: Row[]; nextCursor: string | null };
    rows.push(...page.items);
    cursor = page.items.length < 500 ? null : page.nextCursor;
  }
  return rows.toSorted((a, b) => a.id - b.id);
}

describe("[WF-09] a plugin that prints much at once", () => {
  for (const plugin of ["cold", "warm"]) {
    test(`${plugin}: nothing is lost, and nothing of a secret is left`, async () => {
      const rows = await linesOf(plugin);
      const unmasked = rows.filter(({ message }) => /FIRST|HALF|abcdefgh|klmnop|9876/.test(message));
      expect(unmasked.map(({ taskId, source }) => `${taskId} ${source}`)).toEqual([]);
      for (let run = 0; run < runs; run += 1) {
        const of = (source: string) =>
          rows.filter(({ taskId, source: from }) => taskId === `t${run}` && from === source).map(({ message }) => message);
        const text = (source: string) => of(source).join("\n").replaceAll(" … [cut]\n", "");
        if (run % 5 === 4) expect(text("stderr")).toStartWith(`${"y".repeat(100_000)}***\nError: no ***\n`);
        else {
          const printed = (name: string) => `${`${name}${"x".repeat(pad)}***tail\n`.repeat(3)}${name} bytes\n`;
          expect(text("stdout").replace("\nout said back", "")).toBe(`${printed("out")}out end\nbetween ***`);
          expect(text("stderr").replace("\nerr said back", "")).toBe(`${printed("err")}err end\n${"y".repeat(100_000)}***`);
          expect([text("stdout"), text("stderr")]).toEqual([expect.stringContaining("said back"), expect.stringContaining("said back")]);
        }
      }
    }, 90_000);
  }
});
