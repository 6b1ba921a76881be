// An SMTP server on plain sockets that keeps what it is told: with STARTTLS or TLS from the start, logins, and refusals on demand.
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";

export type SmtpOptions = {
  /** `starttls`: offered; `tls`: from the first byte. */
  security: "none" | "starttls" | "tls";
  cert: string;
  key: string;
  login?: { user: string; password: string };
  /** Recipients that are refused, with the answer. */
  refuse?: Record<string, string>;
};
export type Mail = { from: string; to: string[]; data: string; isSecret: boolean; user: string | null };
export type SmtpServer = { port: number; mails: Mail[]; stop(): void };

export async function startSmtp(options: SmtpOptions): Promise<SmtpServer> {
  const mails: Mail[] = [];
  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    talk(socket, options, mails);
  };
  const { cert, key } = options;
  const server: Server = options.security === "tls" ? createTlsServer({ cert, key }, serve) : createServer(serve);
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    mails,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

type Session = { mail: Mail; isData: boolean; rest: string };

function talk(first: Socket, options: SmtpOptions, mails: Mail[]): void {
  let socket = first;
  const fresh = (isSecret: boolean, user: string | null): Mail => ({ from: "", to: [], data: "", isSecret, user });
  const session: Session = { mail: fresh(options.security === "tls", null), isData: false, rest: "" };
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  const command = (line: string): void => {
    const { mail } = session;
    const verb = (line.split(/[ :]/)[0] ?? "").toUpperCase();
    if (verb === "EHLO") {
      const offers = [
        ...(options.security === "starttls" && !mail.isSecret ? ["STARTTLS"] : []),
        ...(options.login === undefined ? [] : ["AUTH PLAIN"]),
        "8BITMIME",
      ];
      offers.forEach((offer, index) => say(`250${index === offers.length - 1 ? " " : "-"}${offer}`));
    } else if (verb === "STARTTLS") {
      say("220 go");
      socket.removeAllListeners("data");
      socket = new TLSSocket(socket, { isServer: true, cert: options.cert, key: options.key });
      socket.on("error", () => undefined);
      socket.on("data", receive);
      mail.isSecret = true;
    } else if (verb === "AUTH") {
      const [, user, password] = Buffer.from(line.split(" ")[2] ?? "", "base64")
        .toString()
        .split("\0");
      const isRight = user === options.login?.user && password === options.login?.password;
      if (isRight) mail.user = user ?? null;
      say(isRight ? "235 ok" : `535 5.7.8 no: ${user} ${password}`);
    } else if (verb === "MAIL") {
      mail.from = /<(.*?)>/.exec(line)?.[1] ?? "";
      say("250 ok");
    } else if (verb === "RCPT") {
      const to = /<(.*?)>/.exec(line)?.[1] ?? "";
      const refusal = options.refuse?.[to];
      if (refusal === undefined) mail.to.push(to);
      say(refusal ?? "250 ok");
    } else if (verb === "DATA") {
      session.isData = true;
      say("354 go");
    } else if (verb === "QUIT") {
      say("221 bye");
      socket.end();
    } else say("250 ok");
  };
  const receive = (chunk: Buffer): void => {
    session.rest += chunk.toString("latin1");
    for (;;) {
      const end = session.rest.indexOf(session.isData ? "\r\n.\r\n" : "\r\n");
      if (end < 0) return;
      const text = session.rest.slice(0, end);
      session.rest = session.rest.slice(end + (session.isData ? 5 : 2));
      if (!session.isData) command(text);
      else {
        mails.push({ ...session.mail, data: Buffer.from(text, "latin1").toString("utf8") });
        session.mail = fresh(session.mail.isSecret, session.mail.user);
        session.isData = false;
        say("250 queued");
      }
    }
  };
  socket.on("data", receive);
  say("220 test ESMTP");
}
