// Inputs by which the page of actions shows what each built-in asks for: the page gives them to the action's own rule.
import type { JsonObject } from "../../src/base/index.ts";

/** One for each built-in that asks for what its inputs imply. */
export const actionSamples: Readonly<Record<string, JsonObject>> = {
  "core/archive.create": { paths: ["./site"], to: "site.tar.gz" },
  "core/archive.extract": { path: "$input/site.zip", to: "site" },
  "core/csv.read": { path: "./data/orders.csv" },
  "core/csv.write": { path: "report.csv", rows: [{ name: "Ada" }] },
  "core/email.send": { host: "mail.example.com", from: "robot@example.com", to: "ada@example.com", attachments: [{ path: "report.csv" }] },
  "core/file.archive": { paths: ["./site"], to: "site.tar.gz" },
  "core/file.checksum": { path: "report.csv" },
  "core/file.copy": { from: "./templates", to: "site" },
  "core/file.delete": { path: "old" },
  "core/file.glob": { patterns: "**/*.csv", path: "./data" },
  "core/file.list": { path: "./data" },
  "core/file.move": { from: "draft.txt", to: "final.txt" },
  "core/file.read": { path: "./data/settings.json", as: "json" },
  "core/file.write": { path: "notes.txt", content: "hello" },
  "core/git.clone": { url: "https://git.example.com/team/site.git", to: "site" },
  "core/git.commit": { path: "site", message: "New prices" },
  "core/git.diff": { path: "site" },
  "core/http.request": { url: "https://api.example.com/v1/orders", file: "./data/order.json", method: "POST" },
  "core/json.transform": { file: "./data/orders.json", expression: "input.size()" },
  "core/sql.query": { url: "postgres://app@db.example.com/shop", query: "select 1" },
  "core/ssh.run": { host: "web1.example.com", user: "deploy", command: "uptime", knownHosts: "./known_hosts" },
};
