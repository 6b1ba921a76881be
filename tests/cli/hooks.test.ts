// Webhooks of the real product: signed as GitHub signs, repeated, over restarts and kills, with two servers on one store.
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Home, type Server, until } from "../product/binary.ts";

const secret = `hook-${crypto.randomUUID()}`;

const source = `
id: push
secrets: [HOOK_KEY]
inputs: [{ id: ref, type: string }]
triggers:
  - { id: github, type: webhook, path: github, secret: HOOK_KEY, inputs: { ref: "{{ trigger.body.ref }}" } }
tasks:
  - { id: say, run: 'echo "$REF from $EVENT"', env: { REF: "{{ inputs.ref }}", EVENT: "{{ trigger.headers['x-github-event'] }}" } }
outputs: { said: "{{ tasks.say.output.stdout }}" }
`;

type Answer = { status: number; id: string | null };

async function deliver(server: Server, delivery: string | null, { body = '{"ref":"refs/heads/main"}', key = secret } = {}): Promise<Answer> {
  const signature = `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
  const headers = { "content-type": "application/json", "user-agent": "GitHub-Hookshot/044aadd", "x-github-event": "push" };
  const id: Record<string, string> = delivery === null ? {} : { "x-github-delivery": delivery };
  const response = await fetch(`${server.url}/hooks/push/github`, {
    method: "POST",
    body,
    headers: { ...headers, ...id, "x-hub-signature-256": signature },
  });
  const answer = (await response.json()) as { execution_id?: string };
  return { status: response.status, id: answer.execution_id ?? null };
}

async function executions(server: Server): Promise<{ executionId: string; state: string }[]> {
  const { body } = await server.call("GET", "/api/v1/executions?workflow=push&limit=500");
  return (body as { executions: { executionId: string; state: string }[] }).executions;
}

async function ended(server: Server, id: string | null): Promise<{ state: string; outputs: unknown }> {
  return until(async () => {
    const { body } = await server.call("GET", `/api/v1/executions/${id ?? ""}`);
    const { execution } = body as { execution: { state: string; endedAt: string | null; outputs: unknown } };
    return execution.endedAt === null ? null : execution;
  }, 20_000);
}

async function setSecret(home: Home, config: readonly string[] = []): Promise<void> {
  const set = await home.run(["secrets", "set", "HOOK_KEY", ...config], { stdin: secret });
  expect([set.code, set.stderr]).toEqual([0, expect.any(String)]);
}

describe("webhooks", () => {
  test("[WF-19] a signed delivery runs; a wrong signature does not; a repeat is the same, over a stop and a kill -9", async () => {
    const home = new Home();
    await setSecret(home);
    const first = await home.startServer();
    await first.apply("push", source);
    const one = await deliver(first, "delivery-1");
    expect(one).toEqual({ status: 202, id: expect.any(String) });
    expect(await ended(first, one.id)).toMatchObject({ state: "SUCCESS", outputs: { said: "refs/heads/main from push" } });
    expect(await deliver(first, "delivery-1")).toEqual(one);
    expect(await deliver(first, "delivery-2", { key: "another key" })).toEqual({ status: 401, id: null });
    const stopped = await first.stop();
    const second = await home.startServer();
    expect(await deliver(second, "delivery-1")).toEqual(one);
    const two = await deliver(second, "delivery-2");
    const killed = await second.kill();
    const third = await home.startServer();
    expect(await deliver(third, "delivery-2")).toEqual(two);
    expect(await deliver(third, "delivery-1")).toEqual(one);
    await ended(third, two.id);
    expect((await executions(third)).map(({ executionId }) => executionId).toSorted()).toEqual([one.id ?? "", two.id ?? ""].toSorted());
    const last = await third.stop();
    for (const { stdout, stderr } of [stopped, killed, last]) expect(stdout + stderr).not.toContain(secret);
  }, 60_000);

  test("two servers on one store: each delivery starts once, whoever gets it, also at the same moment", async () => {
    const home = new Home();
    const other = new Home();
    const text = `storage: { path: ${JSON.stringify(home.path("store/store.db"))} }\n`;
    writeFileSync(home.path("c.yaml"), text);
    const config = ["-c", home.path("c.yaml")];
    await setSecret(home, config);
    const one = await home.startServer(config);
    const two = await other.startServer(config);
    await one.apply("push", source);
    const deliveries = Array.from({ length: 25 }, (_, index) => `delivery-${index}`);
    const answers = await Promise.all(deliveries.map((id) => Promise.all([one, two, one, two].map((server) => deliver(server, id)))));
    for (const same of answers) {
      expect(same.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
      expect(new Set(same.map(({ id }) => id)).size).toBe(1);
    }
    expect((await executions(two)).length).toBe(deliveries.length);
    const { stderr } = await one.kill();
    expect(await deliver(two, "delivery-0")).toEqual(answers[0]?.[0] as Answer);
    // Those that were running in the killed server are lost, but over: FAILED by CRASH_RECOVERY.
    for (const [same] of answers) expect(["SUCCESS", "FAILED"]).toContain((await ended(two, same?.id ?? null)).state);
    expect(stderr).not.toContain("given up");
    expect((await two.stop()).stderr).not.toContain("given up");
  }, 90_000);

  test("an unarmed workflow has no hook; a server that runs nothing accepts, and the next one runs it", async () => {
    const home = new Home();
    await setSecret(home);
    writeFileSync(home.path("push.yaml"), source);
    expect((await home.run(["run", "push.yaml", "--input", "ref=x", "--json"])).code).toBe(1);
    const idle = await home.startServer([], { AUTOKESTRA_DISABLE_RUNTIME: "1" });
    const before = (await executions(idle)).length;
    expect(await deliver(idle, null)).toEqual({ status: 404, id: null });
    expect((await home.run(["apply", "push.yaml"])).code).toBe(0);
    const accepted = await deliver(idle, "delivery-1");
    expect(accepted.status).toBe(202);
    expect((await executions(idle)).find(({ executionId }) => executionId === accepted.id)?.state).toBe("PENDING");
    await idle.stop();
    const server = await home.startServer();
    expect((await ended(server, accepted.id)).state).toBe("SUCCESS");
    expect((await executions(server)).length).toBe(before + 1);
    await server.stop();
  }, 60_000);

  test("a large body survives the kill of its server, and is read whole by who takes the execution over", async () => {
    const home = new Home();
    await setSecret(home);
    const large = source
      .replace("tasks:", "tasks:\n  - { id: first, type: core/wait.for, inputs: { duration: 2s } }")
      .replace("{ id: say,", "{ id: say, needs: [first],")
      .replace('"{{ inputs.ref }}"', '"{{ size(trigger.body.text) }}"');
    const first = await home.startServer();
    await first.apply("push", large);
    const body = JSON.stringify({ ref: "x", text: `${"ab ".repeat(200_000)}${secret}` });
    const { id } = await deliver(first, "delivery-1", { body });
    await first.kill();
    const second = await home.startServer();
    expect(await ended(second, id)).toMatchObject({ state: "SUCCESS", outputs: { said: `${600_000 + secret.length} from push` } });
    await second.stop();
  }, 60_000);
});
