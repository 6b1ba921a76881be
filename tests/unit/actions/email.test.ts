// core/email.send to a real SMTP server on loopback, with and without TLS.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendMail } from "../../../src/actions/email/send.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";
import { type SmtpOptions, type SmtpServer, startSmtp } from "./smtp-server.ts";

const folder = mkdtempSync(join(tmpdir(), "autokestra-email-"));
const made = Bun.spawnSync(
  [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    "key.pem",
    "-out",
    "cert.pem",
    "-days",
    "2",
  ].concat(["-subj", "/CN=mail.example.test", "-addext", "subjectAltName=DNS:mail.example.test"]),
  { cwd: folder, stderr: "pipe" },
);
if (made.exitCode !== 0) throw new Error(made.stderr.toString());
const cert = readFileSync(join(folder, "cert.pem"), "utf8");
const key = readFileSync(join(folder, "key.pem"), "utf8");
const servers: SmtpServer[] = [];
afterAll(() => {
  for (const server of servers) server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: Partial<SmtpOptions> = {}): Promise<{ server: SmtpServer; send: (input: JsonObject) => Promise<JsonObject> }> {
  const server = await startSmtp({ security: "none", cert, key, ...options });
  servers.push(server);
  const forwards = Object.fromEntries(
    [25, 465, 587].flatMap((port) => ["mail", "other"].map((name) => [`${name}.example.test:${port}`, { host: "127.0.0.1", port: server.port }])),
  );
  const base: JsonObject = {
    host: "mail.example.test",
    security: options.security ?? "none",
    from: "Ann <ann@example.test>",
    to: "bob@example.test",
    subject: "Hi",
  };
  return { server, send: (input) => sendMail({ ...base, ...input }, directContext(forwards)) };
}

describe("a mail", () => {
  test("arrives with its recipients, texts, headers and attachments; bcc is not written", async () => {
    const { server, send } = await start();
    const path = join(folder, "data.csv");
    writeFileSync(path, "a,b\n1,2\n");
    const sent = await send({
      to: ["Bob <bob@example.test>", "cy@example.test"],
      cc: "dan@example.test",
      bcc: "eve@example.test",
      replyTo: "re@example.test",
      subject: "Grüße",
      text: "plain ä",
      html: "<p>html</p>",
      headers: { "X-Run": "7" },
      attachments: [{ path }, { content: "note", filename: "n.txt", contentType: "text/x-note" }],
    });
    expect(sent).toMatchObject({ accepted: ["bob@example.test", "cy@example.test", "dan@example.test", "eve@example.test"], rejected: [] });
    expect(sent["messageId"]).toMatch(/^<.+@.+>$/);
    const [mail] = server.mails;
    expect([mail?.from, mail?.to.length]).toEqual(["ann@example.test", 4]);
    expect(mail?.data).not.toContain("eve@example.test");
    for (const part of [
      "Reply-To: re@example.test",
      "X-Run: 7",
      "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=",
      "<p>html</p>",
      "filename=data.csv",
      Buffer.from("a,b\n1,2\n").toString("base64"),
    ])
      expect(mail?.data).toContain(part);
    expect(mail?.data).toContain("text/x-note");
  });

  test("recipients that are refused are told; when all are, it fails", async () => {
    const { send } = await start({ refuse: { "no@example.test": "550 5.1.1 nobody", "later@example.test": "450 4.2.0 later" } });
    expect(await send({ to: ["bob@example.test", "no@example.test"] })).toMatchObject({
      accepted: ["bob@example.test"],
      rejected: ["no@example.test"],
    });
    expect(await rejection(send({ to: "no@example.test" }))).toMatchObject({ code: "EMAIL_REFUSED", details: { status: 550 }, retryable: false });
    expect(await rejection(send({ to: "later@example.test" }))).toMatchObject({ code: "EMAIL_REFUSED", details: { status: 450 }, retryable: true });
  });

  test("headers cannot be split, nor written twice; nobody is no recipient; files are read by their grant only", async () => {
    const { server, send } = await start();
    const bad: JsonObject[] = [
      { subject: "a\r\nBcc: x@example.test" },
      { from: "a@example.test\nBcc: x@example.test" },
      { to: "b@example.test\r\nRCPT TO:<x@example.test>" },
      { headers: { "X-A": "b\nBcc: x" } },
      { headers: { "X-A\r\nBcc": "x" } },
      { headers: { bcc: "x@example.test" } },
      { headers: { "a b": "x" } },
      { attachments: [{ content: "x", filename: "a\r\nX: y" }] },
      { attachments: [{ content: "x", path: "/etc/passwd" }] },
      { to: [], cc: "" },
    ];
    for (const input of bad) expect([input, (await rejection(send(input))).code]).toEqual([input, "TASK_INPUT_INVALID"]);
    expect((await rejection(send({ attachments: [{ path: join(folder, "none") }] }))).code).toBe("FILE_NOT_FOUND");
    expect(server.mails).toEqual([]);
  });
});

describe("the connection", () => {
  const login = { user: "ann", password: "s3cret-pw" };
  test("STARTTLS and TLS verify the real name through a forwarder, and log in", async () => {
    for (const security of ["starttls", "tls"] as const) {
      const { server, send } = await start({ security, login });
      const auth = { user: login.user, password: login.password };
      expect(await send({ auth, tls: { ca: cert }, text: "x" })).toMatchObject({ accepted: ["bob@example.test"] });
      expect(server.mails.map((mail) => [mail.isSecret, mail.user])).toEqual([[true, "ann"]]);
      expect(await rejection(send({ auth }))).toMatchObject({ code: "EMAIL_UNREACHABLE", retryable: false });
      expect(await rejection(send({ auth, host: "other.example.test", tls: { ca: cert } }))).toMatchObject({
        code: "EMAIL_UNREACHABLE",
        retryable: false,
      });
      expect(await send({ host: "other.example.test", tls: { insecure: true }, text: "x" })).toMatchObject({ rejected: [] });
    }
  });

  test("a server without TLS gets no mail where TLS is asked for, and never a password", async () => {
    const { server, send } = await start({ login });
    expect((await rejection(send({ security: "starttls" }))).code).toBe("EMAIL_UNREACHABLE");
    expect((await rejection(send({ security: "none", auth: { user: "ann", password: "x" } }))).code).toBe("TASK_INPUT_INVALID");
    expect(server.mails).toEqual([]);
  });

  test("on loopback TLS is used where the server offers it, and nowhere else left out by itself", async () => {
    const mail = { host: "127.0.0.1", from: "ann@example.test", to: "bob@example.test", text: "x", tls: { insecure: true } };
    const secrets: unknown[] = [];
    for (const security of ["none", "starttls"] as const) {
      const { server } = await start({ security });
      await sendMail({ ...mail, port: server.port }, directContext());
      secrets.push(...server.mails.map((one) => one.isSecret));
    }
    expect(secrets).toEqual([false, true]);
    const { server } = await start();
    const elsewhere = directContext({ "mail.example.test:587": { host: "127.0.0.1", port: server.port } });
    // Asked for although it was not offered.
    await sendMail({ ...mail, host: "mail.example.test" }, elsewhere);
    expect(server.mails.map((one) => one.isSecret)).toEqual([true]);
  });

  test("refused logins and absent servers have codes, and never the password", async () => {
    const { send } = await start({ security: "tls", login });
    const refused = await rejection(send({ tls: { ca: cert }, auth: { user: "ann", password: "wr0ng-pw" } }));
    expect(refused).toMatchObject({ code: "EMAIL_UNREACHABLE", details: { status: 535 }, retryable: false });
    expect(JSON.stringify(refused)).not.toContain("wr0ng-pw");
    expect(await rejection(send({ host: "127.0.0.1", port: 1, security: "none" }))).toMatchObject({ code: "EMAIL_UNREACHABLE", retryable: true });
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    expect(await rejection(send({ host: "127.0.0.1", port: silent.port, security: "none", timeout: "100ms" }))).toMatchObject({
      code: "EMAIL_UNREACHABLE",
      retryable: true,
    });
    silent.stop(true);
  });
});

test("it asks for the server's port and its files", () => {
  const asks = (inputs: JsonObject) => findCoreAction("core/email.send")?.asks?.(inputs);
  expect(asks({ host: "smtp.example.com" })?.network).toEqual(["smtp.example.com:587"]);
  expect(asks({ host: "smtp.example.com", security: "tls" })?.network).toEqual(["smtp.example.com:465"]);
  expect(asks({ host: "h", port: 2525, attachments: [{ path: "a.pdf" }, { content: "x" }, "{{ x }}"], tls: { ca: "./ca.pem" } })).toEqual({
    network: ["h:2525"],
    filesystem: { read: ["$workspace/a.pdf", "./ca.pem"] },
  });
  for (const inputs of [
    { host: "{{ vars.h }}" },
    { host: "h", port: "{{ vars.p }}" },
    { host: "h", security: "{{ s }}" },
    {},
    { attachments: "{{ x }}", tls: "{{ y }}" },
  ])
    expect(asks(inputs as JsonObject)?.network).toEqual([]);
});
