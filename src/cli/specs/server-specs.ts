// Commands about the server process.
import { command, flag, later, text } from "../command.ts";

const group = "Server";

export const serverSpecs = [
  command({
    path: "server start",
    group,
    about: "Start the server on this data folder",
    details: "Runs in the foreground until SIGTERM or Ctrl-C; a second signal ends it at once. A second server on the same data folder is refused.",
    options: {
      host: text("--host", "ADDRESS", "Address to listen on (server.host)"),
      port: text("--port", "PORT", "Port to listen on, 0 for a free one (server.port)"),
      detach: flag("--detach", "Run in the background; return when the server is ready"),
    },
    examples: [
      ["Start in the foreground", "server start"],
      ["Start in the background on another port", "server start --detach --port 8080"],
      ["Use a configuration file", "server start -c autokestra.yaml"],
    ],
    load: async () => (await import("../commands/server-start.ts")).startServer,
  }),
  command({
    path: "server stop",
    group,
    about: "Stop the server of this data folder, letting running tasks finish",
    examples: [["Stop it", "server stop"]],
    load: async () => (await import("../commands/server-control.ts")).stopServer,
  }),
  command({
    path: "server status",
    group,
    about: "Show whether a server runs on this data folder, and where",
    examples: [
      ["For people", "server status"],
      ["For programs", "server status --json"],
    ],
    load: async () => (await import("../commands/server-control.ts")).showServerStatus,
  }),
  later(group, "server logs", "Show the log of a detached server"),
  later(group, "server install-service", "Install the server as a system service"),
];
