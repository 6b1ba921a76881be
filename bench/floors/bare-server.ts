// The floor of the server: Elysia with the same check of the key and of the request, and answers that are ready in memory.
// `bare-server PORT [SHA256_OF_KEY FOLDER]`: FOLDER holds the answers as NAME.json, and gets the database that POST writes to.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Elysia, t } from "elysia";

const [port = "0", keySha256 = "", folder = ""] = process.argv.slice(2);
const keys = new Map([[keySha256, { scopes: new Set(["execution:read", "workflow:run"]) }]]);
const isJson = (name: string): boolean => name.endsWith(".json");
const names = folder === "" ? [] : readdirSync(folder).filter(isJson);
const answers = new Map(names.map((name) => [name.slice(0, -".json".length), readFileSync(join(folder, name), "utf8")]));
const json = { headers: { "content-type": "application/json" } };
const refused = (status: number): Response => new Response(null, { status });

function isAllowed(headers: Record<string, string | undefined>, scope: string): boolean {
  const key = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1] ?? "";
  return keys.get(Bun.SHA256.hash(key, "hex"))?.scopes.has(scope) ?? false;
}

/** One row in one durable transaction; the driver is loaded only where it is asked for. */
async function openCommit(): Promise<(body: string) => void> {
  const { RawRows } = await import("./raw-rows.ts");
  const raw = new RawRows(join(folder, "bare.db"), "full");
  return (body) => raw.add([{ eventId: new Uint8Array(16), hash: new Uint8Array(32), time: Date.now(), body }]);
}

const commit = folder === "" ? null : await openCommit();
const params = t.Object({ name: t.String({ minLength: 1, maxLength: 64 }) });
const query = t.Object({ limit: t.Optional(t.Numeric({ minimum: 1, maximum: 500 })) }, { additionalProperties: false });
const body = t.Object({ inputs: t.Record(t.String(), t.Unknown()) }, { additionalProperties: false });

new Elysia()
  .get("/health", () => ({ status: "ok", version: "0.0.0", uptimeMs: Math.round(performance.now()) }))
  .get(
    "/answers/:name",
    (call) => {
      if (!isAllowed(call.headers, "execution:read")) return refused(401);
      const text = answers.get(call.params.name);
      return text === undefined ? refused(404) : new Response(text, json);
    },
    { params, query },
  )
  .post(
    "/commits",
    (call) => {
      if (!isAllowed(call.headers, "workflow:run")) return refused(401);
      commit?.(JSON.stringify(call.body));
      return { state: "SUCCESS" };
    },
    { body },
  )
  .listen({ hostname: "127.0.0.1", port: Number(port) });
