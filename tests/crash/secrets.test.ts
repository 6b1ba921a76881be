// kill -9 and a new master key in the middle of an execution: the next task reads true values all the same, and nothing shows them.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Home, until } from "../product/binary.ts";

const token = `tok-${crypto.randomUUID()}`;
const pin = `pin-${crypto.randomUUID()}`;

const workflow = {
  id: "survivor",
  inputs: [{ id: "pin", type: "string", sensitive: true }],
  secrets: ["TOKEN"],
  tasks: [
    {
      id: "one",
      run: 'echo "token=$T" >> "$WORKFLOW_OUTPUT"; echo "pin=$P" >> "$WORKFLOW_OUTPUT"',
      env: { T: "{{ secrets.TOKEN }}", P: "{{ inputs.pin }}" },
    },
    { id: "pause", needs: ["one"], type: "core/wait.for", inputs: { duration: "4s" } },
    {
      id: "two",
      needs: ["pause"],
      run: 'test "$A" = "$B" && test "$C" = "$D" && echo "both are $A"',
      env: { A: "{{ tasks.one.output.token }}", B: "{{ secrets.TOKEN }}", C: "{{ tasks.one.output.pin }}", D: "{{ inputs.pin }}" },
    },
  ],
  outputs: { said: "{{ tasks.two.output.stdout }}", first: "{{ tasks.one.output.token }}" },
};

type Shown = { execution: { state: string; reasonCode: string | null; outputs: unknown; inputs: unknown; error: { code: string } | null } };

async function begin(home: Home): Promise<string> {
  expect((await home.run(["secrets", "set", "TOKEN"], { stdin: token })).code).toBe(0);
  const server = await home.startServer();
  await server.apply("survivor", JSON.stringify(workflow));
  const started = await server.call("POST", "/api/v1/workflows/survivor/executions", { inputs: { pin } });
  const id = (started.body as { executionId: string }).executionId;
  await until(async () => {
    const { body } = await server.call("GET", `/api/v1/executions/${id}`);
    return (body as Shown).execution.reasonCode === "TIMER" ? true : null;
  });
  await server.kill();
  return id;
}

test("[WF-09] true values outlive kill -9 and rotate-key, masked", async () => {
  const home = new Home();
  const id = await begin(home);
  const keyFile = join(home.data, "keys/secret.key");
  const before = readFileSync(keyFile, "utf8");
  expect((await home.run(["secrets", "rotate-key"])).code).toBe(0);
  expect(readFileSync(keyFile, "utf8")).not.toBe(before);
  const server = await home.startServer();
  const rotated = await home.run(["secrets", "rotate-key"]);
  expect([rotated.code, rotated.stderr]).toEqual([0, expect.any(String)]);
  const text = await until(async () => {
    const answer = await server.call("GET", `/api/v1/executions/${id}`);
    return ["SUCCESS", "FAILED"].includes((answer.body as Shown).execution.state) ? answer.text : null;
  });
  const { execution } = JSON.parse(text) as Shown;
  expect(execution).toMatchObject({ state: "SUCCESS", outputs: { said: "both are ***", first: "***" }, inputs: { pin: "***" } });
  expect(text).not.toMatch(new RegExp(`${token}|${pin}`));
  expect((await home.run(["secrets", "get", "TOKEN"])).stdout).toBe(token);
  await server.stop();
  expect((await home.run(["trace", "verify", "--all", "--state"])).code).toBe(0);
}, 60_000);

test("with another key the rest of it fails, and no *** is taken for the value", async () => {
  const home = new Home();
  const id = await begin(home);
  const server = await home.startServer([], { AUTOKESTRA_SECRET_KEY: "another passphrase" });
  const execution = await until(async () => {
    const { body } = await server.call("GET", `/api/v1/executions/${id}`);
    const shown = (body as Shown).execution;
    return shown.state === "FAILED" || shown.state === "SUCCESS" ? shown : null;
  });
  expect([execution.state, execution.error?.code]).toEqual(["FAILED", "SECRET_KEY_WRONG"]);
  const again = await server.call("POST", "/api/v1/workflows/survivor/executions", { inputs: { pin } });
  expect([again.status, (again.body as { error: { code: string } }).error.code]).toEqual([422, "SECRET_KEY_WRONG"]);
  await server.stop();
}, 60_000);
